"""What the tests of the command line share: running it, and a database that holds one thing of each kind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import knocker

ROOT = Path(__file__).resolve().parents[3]
KNOCKER = Path(os.environ.get("KNOCKER_BUILD", ROOT / "build")) / "knocker"
BINARY = bytes(range(256)) * 3
HOSTILE = "evil\x1b[31m\u202eepyt"


def environ(**more: str) -> dict[str, str]:
    """Our own environment without what the command line reads."""
    bare = {name: value for name, value in os.environ.items() if name not in ("KNOCKER_DB", "NO_COLOR")}
    return {**bare, "no_proxy": "127.0.0.1", **more}


def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the command line, with no terminal anywhere."""
    return subprocess.run(
        [KNOCKER, *map(str, arguments)],
        input=stdin,
        env=environ(**environment),
        capture_output=True,
        timeout=60,
    )


def text(*arguments: object, code: int = 0, stdin: bytes = b"", **environment: str) -> str:
    """What it prints, after checking how it ended."""
    done = run(*arguments, stdin=stdin, **environment)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode()


def complaint(*arguments: object, code: int, **environment: str) -> str:
    """The one line that it complains with; nothing may be on standard output."""
    done = run(*arguments, **environment)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == b"", done.stdout
    assert done.stderr.startswith(b"knocker: ") and done.stderr.count(b"\n") == 1, done.stderr
    return done.stderr.decode()


def objects(*arguments: object, code: int = 0, **environment: str) -> list[dict[str, Any]]:
    """Its --json output: every line is one object."""
    lines = text(*arguments, "--json", code=code, **environment).splitlines()
    found = [json.loads(line) for line in lines]
    assert all(isinstance(one, dict) for one in found), lines
    return found


def on_terminal(columns: int, *arguments: object, answer: str = "", **environment: str) -> tuple[int, str]:
    """How it ends on a terminal so wide, and all that stands there then; `answer` is typed ahead."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    done = subprocess.Popen(
        [KNOCKER, *map(str, arguments)],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environ(TERM="xterm", **environment),
    )
    os.close(inner)
    os.write(outer, answer.encode())
    shown = b""
    try:
        while part := os.read(outer, 65536):
            shown += part
    except OSError:  # Linux says so when the other side has closed
        pass
    os.close(outer)
    return done.wait(30), shown.decode()


def fill(path: Path) -> dict[str, int]:
    """Makes a database: each name is the id of an event, or of a delivery where it begins with d_."""
    with knocker.open(str(path), max_attempts=2) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        webhooks.add_endpoint(name="forum", path="/forum", provider=None, max_attempts=1)

        @webhooks.handle(endpoint="shop", event_type="ok")
        def ok(event: knocker.Event, tx: knocker.Tx) -> None:
            pass

        @webhooks.handle(endpoint="forum", event_type="bad")
        def bad(event: knocker.Event, tx: knocker.Tx) -> None:
            raise RuntimeError("no such topic")

        def ingest(endpoint: str, type: str, body: bytes, valid: bool = True, **more: Any) -> Any:
            return webhooks.ingest(
                endpoint=endpoint,
                event_type=type,
                body=body,
                signature_valid=valid,
                headers={"content-type": "application/json", "x-two": ["1", "2"]},
                query={},
                method="POST",
                **more,
            )

        handled = ingest(
            "shop", "ok", b'{"id":"o-1","list":[1,{"a":"b c"}],"none":{}}', provider_event_id="o-1"
        ).event_id
        ingest("shop", "ok", b'{"id":"o-1"}', provider_event_id="o-1")
        dead = ingest("forum", "bad", b"plain words", provider_event_id="f-1").event_id
        while webhooks.run_worker_once() is not None:
            pass
        waiting = ingest("shop", "later", BINARY).event_id
        hostile = ingest("forum", HOSTILE, b"{}").event_id
        refused = ingest("shop", "ok", b"{}", valid=False, signature_error="no good").delivery_id
    return {"handled": handled, "dead": dead, "waiting": waiting, "hostile": hostile, "d_refused": refused}
