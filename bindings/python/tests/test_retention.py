"""The scheduled pruning."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import knocker
from knocker import retention

WEEK = 7 * 24 * 60 * 60
NOON = 1_700_000_000 - 1_700_000_000 % 3600
POLICY = knocker.RetentionPolicy(
    interval_s=3600, event_older_than_s=WEEK, orphan_deliveries_older_than_s=60
)


async def until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_each_interval_is_pruned_once_by_two_handles(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "NAP_S", 0.02)
    with (
        knocker.open(path, clock=NOON - WEEK - 10) as one,
        knocker.open(path, clock=NOON - WEEK - 10) as two,
    ):
        one.add_endpoint("x", enabled=False)
        one.receive("x", b"an orphan")
        one.add_endpoint("x")
        one.add_handler("x", lambda event, tx: None)
        for _ in range(3):
            one.ingest("x", signature_valid=True)
        one.drain(max_jobs=2)

        def clocks(now: float) -> None:
            for inbox in (one, two):
                inbox.set_clock(now)

        def audits() -> list[tuple[str, int, int]]:
            return [
                (audit.kind, audit.executed_at, audit.events_pruned)
                for audit in reversed(one.list_prune_audits())
            ]

        async def main() -> None:
            stop = asyncio.Event()
            clocks(NOON - 20)
            tasks = [
                asyncio.create_task(inbox.run_retention(POLICY, stop_event=stop))
                for inbox in (one, two)
            ]
            await until(lambda: len(audits()) == 2)
            clocks(NOON - 1)
            await asyncio.sleep(0.3)  # many naps
            assert len(audits()) == 2
            clocks(NOON)
            await until(lambda: len(audits()) == 4)
            clocks(NOON + 3599)
            await asyncio.sleep(0.3)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 10)

        asyncio.run(main())
        assert audits() == [
            ("prune_events", NOON - 20, 0),
            ("prune_orphan_deliveries", NOON - 20, 0),
            ("prune_events", NOON, 2),
            ("prune_orphan_deliveries", NOON, 0),
        ]
        assert one.list_prune_audits()[2].deliveries_pruned == 1
        assert [event.status for event in one.list_events()] == ["received"]


PRUNER = """
import asyncio, sys
import knocker

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(3.5, stop.set)
    policy = knocker.RetentionPolicy(interval_s=1, event_older_than_s=60)
    with knocker.open(sys.argv[1]) as webhooks:
        await webhooks.run_retention(policy, stop_event=stop)

asyncio.run(main())
"""


def test_each_interval_is_pruned_once_by_two_processes(
    webhooks: knocker.Inbox, path: Path
) -> None:
    command = [sys.executable, "-c", PRUNER, str(path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    seconds = Counter(one.executed_at for one in webhooks.list_prune_audits())
    assert len(seconds) >= 3
    assert set(seconds.values()) == {1}


def test_it_stops_at_once_and_by_being_cancelled(
    webhooks: knocker.Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "NAP_S", 3600)

    async def main() -> None:
        stop = asyncio.Event()
        stop.set()
        await webhooks.run_retention(POLICY, stop_event=stop)
        assert webhooks.list_prune_audits() == []
        stop.clear()
        tasks = [
            asyncio.create_task(webhooks.run_retention(POLICY, stop_event=stop)),
            asyncio.create_task(webhooks.run_retention(POLICY)),
        ]
        await until(webhooks.list_prune_audits)
        stop.set()
        await asyncio.wait_for(tasks[0], 20)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]

    asyncio.run(main())


def test_what_fails_is_raised(webhooks: knocker.Inbox) -> None:
    webhooks.close()
    with pytest.raises(knocker.Closed):
        asyncio.run(webhooks.run_retention(POLICY))
    with pytest.raises(knocker.InvalidArgument, match="dict"):
        asyncio.run(webhooks.run_retention({"interval_s": 1}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"interval_s": 0}, "interval_s is 0"),
        ({"interval_s": 1.5}, "interval_s is 1.5"),
        ({"interval_s": None}, "interval_s is None"),
        ({"event_older_than_s": 0}, "event_older_than_s is 0"),
        ({"event_limit": -1}, "event_limit is -1"),
        ({"event_limit": True}, "event_limit is True"),
        ({"orphan_deliveries_limit": "9"}, "orphan_deliveries_limit is '9'"),
        ({"event_older_than_s": None}, "prunes nothing"),
        ({"event_statuses": []}, "event_statuses is empty"),
        ({"event_statuses": ["handled", "dead"]}, "'dead' cannot be pruned"),
        ({"event_statuses": "handled"}, "event_statuses must be a list"),
    ],
)
def test_a_policy_is_checked(wrong: dict[str, Any], text: str) -> None:
    good: dict[str, Any] = {"interval_s": 60, "event_older_than_s": 60}
    knocker.RetentionPolicy(**good)
    with pytest.raises(ValueError, match=text):
        knocker.RetentionPolicy(**{**good, **wrong})
