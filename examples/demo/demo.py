"""The demo: Knocker's whole flow on real HTTP requests, told line by line, and then checked in the file.

`./run demo` runs it. It starts app.py and worker.py as any operator would, sends requests with the command
line, single ones by `knocker send` and a crowd by `knocker emulate`, and needs nothing from them but the
databases that they leave behind. It exits with 1 if anything is not as told.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import verdict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("KNOCKER_BUILD", ROOT / "build")).resolve()
KNOCKER = BUILD / "knocker"
FOLDER = BUILD / "demo"
DATABASE = FOLDER / "knocker.db"
CROWD = FOLDER / "crowd.db"  # a file of its own: what came before is judged to the last request
MIB = 1024 * 1024
SECRETS = ("STRIPE_SECRET", "GITHUB_SECRET", "SLACK_SECRET")

# Of the last chapter: a provider, the type of its events, and which table of ours their handler writes to.
SENDERS = (
    ("stripe", "invoice.paid", "invoices"),
    ("github", "push", "pushes"),
    ("slack", "message", "messages"),
)

OWN_TABLES = """
    create table invoices(event_id integer not null, cents integer not null);
    create table pushes(event_id integer not null, ref text not null);
    create table messages(event_id integer not null, said text not null);
"""


class Failure(Exception):
    """Something is not as the story says."""


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)


@dataclass
class Stage:
    """The processes of the demo, the port they serve, and every request that was sent."""

    environment: dict[str, str]
    port: int = 0
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sent: list[verdict.Request] = field(default_factory=list)

    def start(self, name: str, *command: str, keep: int | None = None) -> None:
        with (FOLDER / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=HERE,
                env=self.environment,
                stdout=log,
                stderr=log,
                pass_fds=[] if keep is None else [keep],
            )

    def start_app(self) -> None:
        """Hands on a socket that listens: no port to guess, and requests wait until the app is up."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            fd = listener.fileno()
            self.start("app", "-m", "uvicorn", "app:app", "--fd", str(fd), "--log-level", "warning", keep=fd)

    def start_worker(self, name: str) -> None:
        self.start(name, "worker.py")

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        process = self.running.pop(name)
        if process.poll() is not None:
            raise Failure(f"{name} ended by itself with {process.returncode}; see {FOLDER / name}.log")
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure(f"{name} did not end within 10 s of {how.name}") from None

    def end_all(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def send(self, request: verdict.Request, *options: str) -> str:
        """Sends a request by `knocker send`, checks the status, and gives the answer's body."""
        secret = f"{request.provider.upper()}_SECRET"
        url = f"http://127.0.0.1:{self.port}/webhooks/{request.provider}"
        flags = ["--provider", request.provider, "--secret-env", secret, "--body", "-", "--json", *options]
        for header in request.headers:
            flags += ["--header", header]
        done = subprocess.run(
            [KNOCKER, "send", url, *flags],
            input=request.body,
            env=self.environment,
            capture_output=True,
            timeout=30,
        )
        if done.returncode > 1:
            raise Failure(f"knocker send: {done.stderr.decode().strip()}")
        answer = json.loads(done.stdout)
        if answer["status"] != request.status:
            raise Failure(
                f"{request.provider} {request.id}: {answer['status']} came back, not {request.status}"
            )
        self.sent.append(request)
        return str(answer["body"])


def stripe(id: str, cents: int, mishap: str | None = None) -> verdict.Request:
    invoice = {"object": "invoice", "amount_paid": cents, "mishap": mishap}
    body = {"id": id, "type": "invoice.paid", "data": {"object": invoice}}
    return verdict.Request("stripe", id, json.dumps(body).encode())


def github(id: str, ref: str, padding: int = 0) -> verdict.Request:
    body = json.dumps({"ref": ref, "commits": ["x" * padding]}).encode()
    return verdict.Request("github", id, body, ["x-github-event: push", f"x-github-delivery: {id}"])


def slack(id: str, said: str) -> verdict.Request:
    body = {"type": "event_callback", "event_id": id, "event": {"type": "message", "text": said}}
    return verdict.Request("slack", id, json.dumps(body).encode())


def tell(what: str, came: str = "") -> None:
    print(f"  {what:<66}{came}".rstrip(), flush=True)


def send_and_tell(
    stage: Stage, request: verdict.Request, *options: str, what: str = "", meaning: str = ""
) -> str:
    answer = stage.send(request, *options)
    tell(f"{request.provider:<7} {what or request.id}", f"{request.status}  {meaning}")
    return answer


def chapter_requests(stage: Stage) -> None:
    print(f"1. Requests come in, signed by `knocker send`, at http://127.0.0.1:{stage.port}/webhooks/...")
    first = [stripe("evt_1", 4200), github("push-1", "refs/heads/main"), slack("Ev1", "hello")]
    for request in first:
        send_and_tell(stage, request, meaning="stored and queued")
    for request in first:
        send_and_tell(
            stage, request.again(), what=f"{request.id} again", meaning="stored, known: no second event"
        )
    for request in (stripe("evt_forged", 1), github("push-forged", "x"), slack("EvForged", "x")):
        send_and_tell(stage, request.refused("match"), "--forge", meaning="on record, refused")
    for request in (stripe("evt_stale", 1), slack("EvStale", "x")):
        send_and_tell(
            stage,
            request.refused("window"),
            "--at",
            "1h",
            what=f"{request.id}, signed an hour ago",
            meaning="on record, refused",
        )
    handshake = verdict.Request(
        "slack", None, b'{"type":"url_verification","challenge":"knock-knock"}', status=200
    )
    answer = send_and_tell(
        stage, handshake, what="url_verification, Slack's handshake", meaning="the challenge comes back"
    )
    if json.loads(answer) != {"challenge": "knock-knock"}:
        raise Failure(f"the handshake was answered with {answer}")
    large = github("push-large", "refs/heads/large", padding=4 * MIB)
    send_and_tell(stage, large, what="push-large, a body of 4 MiB", meaning="stored and queued")


def chapter_worker(stage: Stage) -> None:
    print("2. A worker starts, in a process of its own")
    send_and_tell(
        stage,
        stripe("evt_unlucky", 900, "fail twice").attempts("failed", "failed", "handled"),
        meaning="stored and queued",
    )
    stage.start_worker("worker-1")
    wait_for("every event is handled", lambda: verdict.unsettled(DATABASE) == 0)
    tell("every event is handled, evt_unlucky at its third attempt")


def chapter_kill(stage: Stage, inside: Path) -> None:
    print("3. The worker is killed with SIGKILL in the middle of a handler that has written already")
    request = stripe("evt_killed", 7700, "killed")
    send_and_tell(stage, request, meaning="stored and queued")
    wait_for("a handler is inside", inside.exists)
    stage.end("worker-1", signal.SIGKILL)
    rows, status = verdict.state_of(DATABASE, "evt_killed")
    if (rows, status) != (0, "processing"):
        raise Failure(f"after the kill evt_killed is {status} and has {rows} rows")
    tell("killed: evt_killed reads 'processing', and nothing of what its handler wrote is there")
    stage.start_worker("worker-2")
    wait_for("evt_killed is handled", lambda: verdict.unsettled(DATABASE) == 0)
    tell("another worker took it over when its lease of 2 s ran out: handled, once")


def chapter_replay(stage: Stage) -> None:
    print("4. An operator replays an event")
    id = verdict.event_id(DATABASE, "evt_1")
    done = subprocess.run(
        [KNOCKER, "replay", str(id), "--db", DATABASE], env=stage.environment, capture_output=True, timeout=30
    )
    if done.returncode != 0:
        raise Failure(f"knocker replay: {done.stderr.decode().strip()}")
    stage.sent[0].attempts("handled", "handled")
    wait_for("evt_1 is handled again", lambda: verdict.state_of(DATABASE, "evt_1") == (2, "handled"))
    tell(f"knocker replay {id}: its handler ran a second time, because somebody said so")


def chapter_verdict(stage: Stage) -> None:
    print("5. All processes are ended. What does the file say?")
    stage.end("worker-2")
    stage.end("app")
    for told in verdict.judge(DATABASE, stage.sent):
        tell(told)


def chapter_secrets(stage: Stage) -> None:
    keys = [stage.environment[name].encode() for name in SECRETS]
    for path in FOLDER.iterdir():
        content = path.read_bytes()
        if any(key in content for key in keys):
            raise Failure(f"a secret is in {path}")
    tell("no secret is in a database or in a log")


def emulate(stage: Stage, provider: str, event: str) -> subprocess.Popen[bytes]:
    """`knocker emulate` as an operator would start it, checking the file afterwards."""
    flags = ["--secret-env", f"{provider.upper()}_SECRET", "--event", event, "--count", "200", "--json"]
    mishaps = ["--duplicates", "5%", "--forged", "1%", "--reorder", "--connections", "8"]
    url = f"http://127.0.0.1:{stage.port}/webhooks/{provider}"
    return subprocess.Popen(
        [KNOCKER, "emulate", provider, "--to", url, "--check", CROWD, *flags, *mishaps],
        env=stage.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def crowd_came(stage: Stage) -> dict[str, dict[str, Any]]:
    """What the senders say, all at once; a worker that is killed in the middle must make no difference."""
    senders = {provider: emulate(stage, provider, event) for provider, event, _ in SENDERS}
    try:
        wait_for("some of it is handled", lambda: verdict.handled(CROWD) > 100)
        stage.end("worker-3", signal.SIGKILL)
        stage.start_worker("worker-4")
        told = {}
        for provider, sender in senders.items():
            out, complaint = sender.communicate(timeout=60)
            if sender.returncode != 0:
                raise Failure(f"knocker emulate {provider}: {(complaint or out).decode().strip()}")
            told[provider] = json.loads(out)
        return told
    finally:
        for sender in senders.values():
            sender.kill()


def chapter_crowd(stage: Stage) -> None:
    print("6. A crowd: `knocker emulate` three times at once, at a new file, and another worker is killed")
    stage.environment["KNOCKER_DB"] = str(CROWD)
    make_own_tables(CROWD)
    stage.start_app()
    wait_for("the app has its endpoints", lambda: verdict.endpoints(CROWD) == 3)
    stage.start_worker("worker-3")
    for provider, said in crowd_came(stage).items():
        counts = [said[kind]["sent"] for kind in ("events", "repeats", "forged")]
        check = said["check"]
        tell(
            "{:<7} {} events, {} repeats, {} forged, out of order".format(provider, *counts),
            f"{check['events']} on record, nothing lost, nothing doubled",
        )
    wait_for("every event is handled", lambda: verdict.unsettled(CROWD) == 0, 60)
    stage.end("worker-4")
    stage.end("app")
    for _, _, table in SENDERS:
        verdict.judge_handlers(CROWD, table)
    tell("each event was handled, and has one row of its handler's, those of the killed worker too")


def play(stage: Stage, inside: Path) -> None:
    stage.start_app()
    chapter_requests(stage)
    chapter_worker(stage)
    chapter_kill(stage, inside)
    chapter_replay(stage)
    chapter_verdict(stage)
    chapter_crowd(stage)
    chapter_secrets(stage)


def make_own_tables(database: Path) -> None:
    own = sqlite3.connect(database)
    own.executescript(OWN_TABLES)
    own.close()


def prepare() -> tuple[Stage, Path]:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    make_own_tables(DATABASE)
    inside = FOLDER / "inside-a-handler"
    environment = {
        **os.environ,
        "KNOCKER_DB": str(DATABASE),
        "DEMO_INSIDE": str(inside),
        "no_proxy": "127.0.0.1",
    }
    environment |= {name: secrets.token_hex(24) for name in SECRETS}
    return Stage(environment), inside


def main() -> int:
    began = time.monotonic()
    stage, inside = prepare()
    try:
        play(stage, inside)
    except (Failure, verdict.Wrong, subprocess.TimeoutExpired) as error:
        print(f"NOT SO: {error}", file=sys.stderr)
        for log in FOLDER.glob("*.log"):
            if log.stat().st_size > 0:
                print(f"--- {log}\n{log.read_text()[-2000:]}", file=sys.stderr)
        return 1
    finally:
        stage.end_all()
    shown = [os.path.relpath(path) for path in (KNOCKER, DATABASE)]
    print(f"All of it is so, after {time.monotonic() - began:.1f} s. Go on exploring:")
    for command in ("events", "deliveries --invalid", f"event {verdict.event_id(DATABASE, 'evt_unlucky')}"):
        tell(f"{shown[0]} {command} --db {shown[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
