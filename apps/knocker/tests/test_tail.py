"""tail: what arrives, in order, until somebody has had enough."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import knocker
import pytest
from conftest import Filled
from shell import HOSTILE, KNOCKER, complaint, environ, text


class Follower:
    """A running tail, read line by line."""

    def __init__(self, path: Path, *flags: object) -> None:
        command = [KNOCKER, "tail", "--db", path, *flags]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ()
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def object(self) -> dict[str, Any]:
        found = json.loads(self.line())
        assert isinstance(found, dict)
        return found

    def end(self) -> tuple[int, bytes, bytes]:
        self.process.send_signal(signal.SIGINT)
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[knocker.Inbox]:
    with knocker.open(str(tmp_path / "tail.db")) as webhooks:
        for name in ("shop", "forum"):
            webhooks.add_endpoint(name=name, path=f"/{name}", provider=None)
        yield webhooks


def arrive(inbox: knocker.Inbox, endpoint: str, type: str, key: str | None = None, valid: bool = True) -> Any:
    return inbox.ingest(
        endpoint=endpoint,
        event_type=type,
        body=b"{}",
        signature_valid=valid,
        signature_error=None if valid else "signature does not match",
        dedupe_key=key,
    )


def test_the_last_ten_come_first_and_then_what_arrives(inbox: knocker.Inbox, tmp_path: Path) -> None:
    ids = [arrive(inbox, "shop", "paid", str(number)).delivery_id for number in range(12)]
    follower = Follower(tmp_path / "tail.db", "--json")
    assert [follower.object()["id"] for _ in range(10)] == ids[2:]
    new = arrive(inbox, "forum", "post")
    again = arrive(inbox, "shop", "paid", "3")
    refused = arrive(inbox, "shop", "paid", valid=False)
    found = [follower.object() for _ in range(3)]
    assert [(one["id"], one["event_id"], one["signature_valid"]) for one in found] == [
        (new.delivery_id, new.event_id, True),
        (again.delivery_id, again.event_id, True),
        (refused.delivery_id, None, False),
    ]
    assert found[2]["signature_error"] == "signature does not match"
    assert follower.end() == (0, b"", b"")


def test_the_columns_are_those_of_deliveries(inbox: knocker.Inbox, tmp_path: Path) -> None:
    arrive(inbox, "shop", "paid")
    follower = Follower(tmp_path / "tail.db", "--json")
    assert follower.object() == json.loads(text("deliveries", "--json", "--db", tmp_path / "tail.db"))
    follower.end()


def test_a_line_says_what_became_of_each(inbox: knocker.Inbox, tmp_path: Path) -> None:
    follower = Follower(tmp_path / "tail.db")
    first = arrive(inbox, "shop", "paid", "1")
    arrive(inbox, "shop", "paid", "1")
    arrive(inbox, "forum", HOSTILE, valid=False)
    lines = [follower.line() for _ in range(3)]
    assert lines[0].endswith(" new event") and "  shop   " in lines[0] and "  paid " in lines[0]
    assert lines[1].endswith(f"event {first.event_id} again")
    assert lines[2].endswith("signature does not match") and "\x1b" not in lines[2]
    assert follower.end()[0] == 0


def test_filters_choose_also_from_what_arrives(inbox: knocker.Inbox, tmp_path: Path) -> None:
    arrive(inbox, "forum", "post")
    follower = Follower(tmp_path / "tail.db", "--json", "--endpoint", "shop", "--type", "paid", "--invalid")
    for endpoint, type, valid in (
        ("forum", "paid", False),
        ("shop", "lost", False),
        ("shop", "paid", True),
        ("shop", "paid", False),
    ):
        last = arrive(inbox, endpoint, type, valid=valid)
    assert follower.object()["id"] == last.delivery_id
    assert follower.end() == (0, b"", b"")


def test_since_begins_with_all_from_then_on_and_limit_with_fewer(inbox: knocker.Inbox, tmp_path: Path) -> None:
    inbox.set_clock(time.time() - 7200)
    arrive(inbox, "shop", "old")
    inbox.set_clock(time.time())
    requests = [dict(endpoint="shop", body=b"{}", event_type="new")] * 1000
    ids = [one.delivery_id for _ in range(3) for one in inbox.receive_many(requests)]
    follower = Follower(tmp_path / "tail.db", "--json", "--since", "1h")
    assert [follower.object()["id"] for _ in ids] == ids
    follower.end()
    follower = Follower(tmp_path / "tail.db", "--json", "--limit", 2)
    assert [follower.object()["id"] for _ in range(2)] == ids[-2:]
    assert follower.end()[0] == 0
    follower = Follower(tmp_path / "tail.db", "--json", "--since", int(time.time()) + 60)
    inbox.set_clock(time.time() + 120)
    last = arrive(inbox, "shop", "now").delivery_id
    assert follower.object()["id"] == last
    follower.end()


def test_an_endpoint_that_is_not_there_is_named(db: Filled) -> None:
    for more in ([], ["--since", "1h"]):
        assert "'nope'" in complaint("tail", "--endpoint", "nope", *more, "--db", db.path, code=3)


def test_it_ends_when_whoever_reads_it_has_gone(db: Filled) -> None:
    follower = Follower(db.path)
    follower.line()
    assert follower.process.stdout is not None and follower.process.stderr is not None
    follower.process.stdout.close()
    assert follower.process.wait(30) in (0, -signal.SIGPIPE)
    assert follower.process.stderr.read() == b""
    follower.process.stderr.close()


def test_it_ends_in_a_pipe_although_nothing_more_arrives(db: Filled) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{KNOCKER} tail --json --db {db.path} | head -n 1"],
        capture_output=True,
        env=environ(),
        timeout=30,
    )
    assert json.loads(done.stdout)["endpoint"] == "shop"
    assert done.stderr == b""
