"""Mixed runs: each step of a scenario is played by another language, on the same file.

Owns who plays what. A handle is one of its name in every language. What lives in a process (handles,
registrations, handlers, the clock) is done in all of them; every other step in one, chosen by the seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check
import play
from door import Door, DoorError, Rows, Script, Words

Doors = dict[str, type[Door]]


class MixedDoor(Door):
    """`doors` and `seed` are class members: see `mixed_door`."""

    doors: Doors
    seed: str

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.random = random.Random(self.seed)
        self.players = {name: door(path) for name, door in self.doors.items()}
        self.working: dict[str, str] = {}

    def _each(self) -> list[Door]:
        order = list(self.players.values())
        self.random.shuffle(order)
        return order

    def _in_all(self, call: Callable[[Door], None]) -> None:
        """The first says what happens; the others must say the same."""
        first, *others = self._each()
        failed = self._failure(call, first)
        for other in others:
            also = self._failure(call, other)
            if (also and also.name) != (failed and failed.name):
                raise play.Mismatch(f"one language says {failed}, another {also}")
        if failed is not None:
            raise failed

    def _failure(self, call: Callable[[Door], None], door: Door) -> DoorError | None:
        door.now_s = self.now_s
        try:
            call(door)
        except DoorError as error:
            return error
        return None

    def _one(self) -> tuple[str, Door]:
        name = self.random.choice(list(self.players))
        door = self.players[name]
        door.now_s = self.now_s
        return name, door

    def end(self) -> None:
        for door in self.players.values():
            door.end()
        super().end()

    def clock(self) -> None:
        self._in_all(lambda door: door.clock())

    def open(self, on: str, options: Words) -> None:
        self._in_all(lambda door: door.open(on, options))

    def close(self, on: str) -> None:
        if on in self.working:
            self.players[self.working[on]].close(on)
        self._in_all(lambda door: door.close(on))

    def endpoint(self, on: str, words: Words) -> None:
        self._in_all(lambda door: door.endpoint(on, words))

    def handle(self, on: str, endpoint: str, event_type: str | None, script: Script) -> None:
        self._in_all(lambda door: door.handle(on, endpoint, event_type, script))

    def work(self, on: str, words: Words) -> list[int]:
        name, door = self._one()
        self.working[on] = name
        try:
            return door.work(on, words)
        finally:
            del self.working[on]

    def receive(self, on: str, words: Words) -> Words:
        return self._one()[1].receive(on, words)

    def receive_many(self, on: str, many: Rows) -> Rows:
        return self._one()[1].receive_many(on, many)

    def ingest(self, on: str, words: Words) -> Words:
        return self._one()[1].ingest(on, words)

    def get(self, on: str, kind: str, row_id: int) -> Words:
        return self._one()[1].get(on, kind, row_id)

    def list(self, on: str, kind: str, filter: Words) -> Rows:
        return self._one()[1].list(on, kind, filter)

    def act(self, on: str, verb: str, target: Any) -> None:
        self._one()[1].act(on, verb, target)

    def why(self, on: str, event_id: int) -> Words:
        return self._one()[1].why(on, event_id)

    def stats(self, on: str) -> Rows:
        return self._one()[1].stats(on)

    def reverify(self, on: str, words: Words) -> Rows:
        return self._one()[1].reverify(on, words)

    def prune(self, on: str, kind: str, words: Words) -> Words:
        return self._one()[1].prune(on, kind, words)

    def verify(self, on: str, words: Words) -> Words:
        return self._one()[1].verify(on, words)

    def diagnose(self, on: str, words: Words) -> Rows:
        return self._one()[1].diagnose(on, words)

    def sign(self, on: str, words: Words) -> Words:
        return self._one()[1].sign(on, words)


def mixed_door(doors: Doors, seed: str) -> type[MixedDoor]:
    """The door of one file in one round."""
    return type("RoundDoor", (MixedDoor,), {"doors": doors, "seed": seed})


def play_rounds(doors: Doors, files: list[Path], seed: int, rounds: int) -> int:
    """Plays each file in each round and says which failed; how many plays failed."""
    failed = 0
    for n in range(1, rounds + 1):
        began = time.monotonic()
        for path in files:
            wrong = play.play_file(path, mixed_door(doors, f"{seed}/{n}/{path.name}"))
            if wrong is not None:
                failed += 1
                print(f"mixed: seed {seed}, round {n}: {path.name}: {wrong}")
        print(
            f"mixed: round {n} of {rounds}, {time.monotonic() - began:.0f} s, {failed} failed so far",
            file=sys.stderr,
            flush=True,
        )
    return failed


def main(doors: Doors, arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description="Plays each step in another language.")
    options.add_argument("--seed", type=int, default=1, help="of who plays which step (1)")
    options.add_argument("--rounds", type=int, default=1, help="how often, each otherwise (1)")
    options.add_argument("files", nargs="*", type=Path, help="instead of scenarios/")
    chosen = options.parse_args(arguments)
    files = chosen.files or sorted((check.HERE / "scenarios").glob("*.json"))
    failed = play_rounds(doors, files, chosen.seed, chosen.rounds)
    played = len(files) * chosen.rounds
    print(
        f"mixed: {played} played, {played - failed} passed, {failed} failed "
        f"(seed {chosen.seed}, {chosen.rounds} rounds of {', '.join(doors)})"
    )
    return 1 if failed or not played else 0
