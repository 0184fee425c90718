"""The storm: applications in C and in Python on one file, killed at random, judged by what they were answered.

    storm.py --seconds N [--seed N] --actor build/tests/soak_actor [--folder FOLDER] [--processes N]

One application is killed by SIGKILL every 50 to 500 ms and started again, now and then all of them at once. Every half
minute all are killed, and a copy of the file is judged as it was left; then the storm goes on, in turn after a calm in
which the queue is worked through and all that is settled is pruned, with the copy, and as if nothing had happened. At
the end the queue is worked through and judged once more. The last line is `kills: N, receipts: N, lost: N, doubled: N`.
What the judge found wrong is said before, with the folder, which is kept then.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import knocker
from judge import APPLICATION, Judge, Verdict

PAUSE_S = 30  # from one judgement to the next
LAST_S = 10  # without a pause, so that there is something to judge at the end
CALM_S = 120  # the longest that a queue may take to be worked through
ENDINGS = ("", "-wal")  # of a database, as a crash leaves it; -shm is made anew from these


class Application:
    """A place in the storm, taken by one process after another."""

    def __init__(self, command: list[str], name: str) -> None:
        self.command, self.name = command, name
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.journal = ""


class Storm:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "inbox.db"
        self.seed = options.seed
        self.chance = random.Random(options.seed)
        python = [sys.executable, str(Path(__file__).with_name("actor.py"))]
        commands = [[str(options.actor)], python]
        self.places = [Application(commands[i % 2], f"{'cp'[i % 2]}{i}") for i in range(options.processes)]
        (folder / "journals").mkdir(parents=True)
        self.judge = Judge(folder)
        self.kills = self.pauses = 0
        self.died: list[str] = []  # applications that nobody killed
        self.began = time.monotonic()
        self._prepare()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)

    def _prepare(self) -> None:
        with knocker.open(self.file) as inbox:
            inbox.add_endpoint("stripe", provider="stripe", secrets=["whsec_storm_secret"])
            inbox.add_endpoint("inner")
        connection = sqlite3.connect(self.file)
        connection.executescript(APPLICATION)
        connection.close()

    # -- processes

    def start(self, place: Application, *words: str) -> None:
        place.starts += 1
        name = f"{place.name}-{place.starts}"
        place.journal = f"{name}.journal"
        seed = str(self.chance.getrandbits(60))
        command = [*place.command, str(self.file), str(self.folder / "journals" / place.journal), name, seed, *words]
        with (self.folder / "errors.txt").open("ab") as errors:
            place.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors)

    def end(self, place: Application) -> None:
        """By SIGKILL. One that ended by itself before is told of."""
        process = place.process
        assert process and process.stdin
        code = process.poll()
        if code is None:
            process.kill()
            process.wait()
            self.kills += 1
        else:
            self.died.append(f"{place.journal.removesuffix('.journal')} ended by itself: {code}")
        process.stdin.close()
        place.process = None
        self.judge.ended(place.journal)

    def end_all(self) -> None:
        for place in self.places:
            if place.process and place.process.poll() is None:  # at once, as in a power cut
                place.process.kill()
                self.kills += 1
        for place in self.places:
            if process := place.process:
                if process.wait() != -9:
                    self.died.append(f"{place.journal.removesuffix('.journal')} ended by itself: {process.returncode}")
                assert process.stdin
                process.stdin.close()
                place.process = None
                self.judge.ended(place.journal)

    def start_all(self) -> None:
        for place in self.places:
            self.start(place)

    # -- judgement

    def copy(self, name: str) -> Path:
        to = self.folder / name
        for ending in (*ENDINGS, "-shm"):
            Path(f"{to}{ending}").unlink(missing_ok=True)
        for ending in ENDINGS:
            if os.path.exists(f"{self.file}{ending}"):
                shutil.copyfile(f"{self.file}{ending}", f"{to}{ending}")
        return to

    def calm(self) -> None:
        """One application works the queue through."""
        place = self.chance.choice(self.places)
        self.start(place, "calm")
        assert place.process and place.process.stdin
        try:
            code = place.process.wait(CALM_S)
        except subprocess.TimeoutExpired:
            place.process.kill()
            place.process.wait()
            code = None
        if code != 0:
            self.died.append(f"a calm worker ended with {code}, and was to work the queue through")
        place.process.stdin.close()
        self.judge.ended(place.journal)
        place.process = None

    def prune_all(self) -> None:
        """Also the newest rows, so that the next ids follow upon none."""
        time.sleep(2.5)
        with knocker.open(self.file) as inbox:
            inbox.prune_events(older_than=int(time.time()))
            inbox.prune_orphan_deliveries(older_than=int(time.time()))

    def pause(self) -> Verdict:
        self.end_all()
        copy = self.copy("copy.db")
        verdict = self.judge.judge(copy, calm=False)
        if verdict.sentences:
            return verdict
        then = (", and worked through and pruned", ", and the storm goes on with the copy", "")[self.pauses % 3]
        self.pauses += 1
        if "pruned" in then:
            self.calm()
            self.prune_all()
        elif "copy" in then:
            for ending in (*ENDINGS, "-shm"):
                Path(f"{self.file}{ending}").unlink(missing_ok=True)
                if os.path.exists(f"{copy}{ending}"):
                    os.rename(f"{copy}{ending}", f"{self.file}{ending}")
        self.say(f"judged as it was left: no law is broken{then}")
        return verdict

    def blow(self, seconds: float) -> Verdict:
        """The storm itself. It ends early when a law is broken."""
        self.began = time.monotonic()
        next_word, next_pause = self.began + 5, self.began + PAUSE_S
        self.start_all()
        while (now := time.monotonic()) < self.began + seconds:
            time.sleep(self.chance.uniform(0.05, 0.5))
            if self.chance.randrange(50) == 0:
                self.end_all()
                self.start_all()
            else:
                place = self.chance.choice(self.places)
                self.end(place)
                self.start(place)
            if next_pause <= now < self.began + seconds - LAST_S:
                verdict = self.pause()
                if verdict.sentences:
                    return verdict
                self.start_all()
                next_pause = time.monotonic() + PAUSE_S
            if now >= next_word:
                self.judge.read()
                self.say(f"kills: {self.kills}, receipts: {self.judge.receipts}")
                next_word = now + 5
        self.end_all()
        return Verdict()

    # -- the end

    def last(self) -> Verdict:
        """Once as the last kill left it, once when the queue was worked through."""
        left = self.copy("copy.db")
        verdict = self.judge.judge(left, calm=False)
        if verdict.sentences:
            return verdict
        self.calm()
        copy = self.copy("copy.db")
        verdict = self.judge.judge(copy, calm=True)
        if verdict.sentences:
            return verdict
        for sentence in self.judge.prove(copy):
            verdict.breach("wrong", 1, f"the judge is blind: no damage was seen to: {sentence}")
        figures = self.judge.figures(copy)
        for name in [name for name, number in figures.items() if not number]:
            verdict.breach("wrong", 1, f"there were no {name}: the storm was too short, or calm")
        self.say(", ".join(f"{name}: {number}" for name, number in figures.items()))
        return verdict

    def tell(self, verdict: Verdict) -> bool:
        words = self.judge.words
        self.say(f"acts: {words['A']} of {words['I']}, leases lost: {words['L']}, busy: {words['B']}")
        if said := (self.folder / "errors.txt").read_text(errors="replace"):
            self.died.append(f"on stderr an application said: {said[:500]}")
        for sentence in [*self.died[:20], *verdict.sentences]:
            print(f"storm: {sentence}")
        good = not self.died and not verdict.sentences and self.judge.receipts > 0
        if not good:
            print(f"storm: seed {self.seed}; file, journals and what was said on stderr: {self.folder}")
        lost, doubled = verdict.counts["lost"], verdict.counts["doubled"]
        print(f"kills: {self.kills}, receipts: {self.judge.receipts}, lost: {lost}, doubled: {doubled}", flush=True)
        return good


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./run soak", description="Kills applications on one file at random, and judges."
    )
    parser.add_argument("--seconds", type=float, required=True, help="how long it blows; 20 and more")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--processes", type=int, default=4, help="half of them in C, half in Python")
    parser.add_argument("--folder", type=Path, help="where the file is to stand; else beside other temporary files")
    parser.add_argument("--actor", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processes < 2:
        parser.error("a storm has 2 processes at least")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    storm = Storm(options, folder)
    storm.say(f"seed {options.seed}, {options.processes} processes, {folder}")
    try:
        verdict = storm.blow(options.seconds)
        if not verdict.sentences:
            verdict = storm.last()
        good = storm.tell(verdict)
    finally:
        storm.end_all()
    if good:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
