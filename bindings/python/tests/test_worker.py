"""The worker's loop, from asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Ingest

import knocker
from knocker import _native


def test_stopping_finishes_the_handler_in_hand_and_the_claimed_jobs(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    inside, go = threading.Event(), threading.Event()
    ran: list[int] = []

    @webhooks.handle("plain")
    def slow(event: knocker.Event, tx: knocker.Tx) -> None:
        inside.set()
        assert go.wait(10)
        ran.append(event.id)

    numbers = [ingest(str(n)) for n in range(5)]

    async def main() -> int:
        stop = asyncio.Event()
        task = asyncio.create_task(webhooks.run_worker("w", stop_event=stop))
        await asyncio.to_thread(inside.wait, 10)
        (state,) = webhooks.worker_states()
        assert state == knocker.WorkerState("w", True, numbers[0], None)
        stop.set()
        await asyncio.sleep(0)
        go.set()
        return await task

    assert asyncio.run(main()) == 5
    assert ran == numbers
    assert webhooks.stats()[0].handled == 5


def test_a_waiting_worker_stops_at_once(webhooks: knocker.Inbox) -> None:
    async def main() -> float:
        stop = asyncio.Event()
        task = asyncio.create_task(webhooks.run_worker(stop_event=stop))
        await asyncio.sleep(0.2)
        start = time.monotonic()
        stop.set()
        assert await task == 0
        return time.monotonic() - start

    assert asyncio.run(main()) < 5


def test_a_worker_wakes_for_an_event_of_another_handle(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, path: Path
) -> None:
    plain.handle()(lambda event, tx: None)

    async def main() -> int:
        task = asyncio.create_task(webhooks.run_worker(max_jobs=1))
        await asyncio.sleep(0.1)
        with knocker.open(path) as other:
            other.ingest("plain", signature_valid=True)
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(main()) == 1


def test_cancelling_waits_for_the_handler(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    inside = threading.Event()
    ended: list[int] = []

    @webhooks.handle("plain")
    def slow(event: knocker.Event, tx: knocker.Tx) -> None:
        inside.set()
        time.sleep(0.2)
        ended.append(event.id)

    number = ingest()

    async def main() -> None:
        task = asyncio.create_task(webhooks.run_worker())
        await asyncio.to_thread(inside.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [number]

    asyncio.run(main())
    assert webhooks.get_event(number).status == "handled"


def test_a_failure_of_the_loop_is_heard_and_raised(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    heard: list[BaseException] = []
    first, second = ingest(), ingest("second")

    def break_down(event: knocker.Event, error: str | None) -> None:
        raise OSError("no pager")

    async def on_error(error: BaseException) -> None:
        heard.append(error)

    async def main() -> None:
        await webhooks.run_worker("w", on_dead=break_down, on_error=on_error)

    with pytest.raises(OSError, match="no pager"):
        asyncio.run(main())
    assert [str(error) for error in heard] == ["no pager"]
    (state,) = webhooks.worker_states()
    assert state.running is False
    assert state.last_error == "OSError: no pager"
    assert webhooks.get_event(first).status == "dead"
    webhooks.add_handler("plain", lambda event, tx: None)
    assert webhooks.drain() == [second]


def test_what_ends_the_program_passes_through_the_worker(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def leave(event: knocker.Event, tx: knocker.Tx) -> None:
        raise SystemExit(3)

    number = ingest()
    with pytest.raises(SystemExit, match="3"):
        asyncio.run(webhooks.run_worker())
    assert webhooks.list_attempts(number) == []


def test_missing_leave_claims_only_what_it_can_handle(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    webhooks.add_endpoint("other")
    webhooks.ingest("other", signature_valid=True)
    ingest()
    assert webhooks.drain(missing="leave") == []
    webhooks.add_handler("other", lambda event, tx: None)
    assert len(webhooks.drain(missing="leave")) == 1
    assert webhooks.drain(missing="leave", endpoints=["plain"]) == []
    assert webhooks.stats()[0].dead == 0
    with pytest.raises(ValueError, match="lose"):
        webhooks.drain(missing="lose")  # type: ignore[arg-type]


def test_queues_and_endpoints_limit_a_worker(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    webhooks.add_endpoint("slow", queue_name="slow")
    for name in ("plain", "slow"):
        webhooks.add_handler(name, lambda event, tx: None)
    slow = webhooks.ingest("slow", signature_valid=True).event_id
    number = ingest()
    assert webhooks.drain(queues=["slow"]) == [slow]
    assert webhooks.drain(endpoints=["slow"]) == []
    assert webhooks.run_worker_once() == number
    assert webhooks.run_worker_once() is None


def test_a_paused_endpoint_waits(webhooks: knocker.Inbox, ingest: Ingest) -> None:
    webhooks.add_handler("plain", lambda event, tx: None)
    webhooks.pause("plain")
    number = ingest()
    assert webhooks.list_endpoints()[0].paused is True
    assert webhooks.drain() == []
    assert webhooks.why(number).cause == "paused"
    webhooks.resume("plain")
    assert webhooks.drain() == [number]


def test_closing_stops_an_idle_worker(webhooks: knocker.Inbox) -> None:
    async def main() -> int:
        task = asyncio.create_task(webhooks.run_worker())
        await asyncio.sleep(0.2)
        webhooks.close()
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(main()) == 0


def test_closing_while_a_handler_runs_is_an_error(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    inside, go = threading.Event(), threading.Event()

    @webhooks.handle("plain")
    def slow(event: knocker.Event, tx: knocker.Tx) -> None:
        inside.set()
        assert go.wait(10)

    number = ingest()
    worker = threading.Thread(target=webhooks.drain)
    worker.start()
    assert inside.wait(10)
    with pytest.raises(knocker.Error):
        webhooks.close()
    go.set()
    worker.join()
    assert webhooks.get_event(number).status == "handled"


def test_two_workers_share_the_events(webhooks: knocker.Inbox, ingest: Ingest) -> None:
    ran: list[int] = []
    webhooks.add_handler("plain", lambda event, tx: ran.append(event.id))
    numbers = [ingest(str(n)) for n in range(100)]

    async def main() -> None:
        stop = asyncio.Event()
        tasks = [webhooks.run_worker(str(n), stop_event=stop) for n in range(2)]
        waiting = asyncio.gather(*tasks)
        while webhooks.stats()[0].queued:
            await asyncio.sleep(0.01)
        stop.set()
        assert sum(await waiting) == 100

    asyncio.run(main())
    assert sorted(ran) == numbers


def test_a_waiting_worker_sleeps_on_a_thread_of_its_own(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def watched(name: str) -> None:
        call = getattr(_native, name)

        def note(*arguments: Any) -> Any:
            calls.append((name, threading.current_thread().name))
            return call(*arguments)

        monkeypatch.setattr(_native, name, note)

    watched("knocker_claim")
    watched("knocker_wait")
    plain.handle()(lambda event, tx: None)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        release = threading.Event()
        blocked = loop.run_in_executor(None, release.wait, 30)
        worker = asyncio.create_task(webhooks.run_worker("w", max_jobs=1))
        await asyncio.sleep(0.5)
        assert len(calls) <= 4  # a claim, and waits that begin anew after a second
        await plain.receive_async(b"")
        assert await asyncio.wait_for(worker, 20) == 1
        release.set()
        await blocked

    asyncio.run(main())
    assert {name for name, _ in calls} == {"knocker_claim", "knocker_wait"}
    assert {thread for _, thread in calls} == {"knocker w"}


def test_a_handler_that_hangs_holds_nobody_up_for_longer_than_its_lease(
    path: Path,
) -> None:
    hangs, go = threading.Event(), threading.Event()
    caught: list[BaseException] = []
    with knocker.open(path, visibility_timeout_s=0.3) as webhooks:
        plain = webhooks.endpoint("plain")
        number = plain.receive(b"").event_id

        @plain.handle()
        def hang(event: knocker.Event, tx: knocker.Tx) -> None:
            tx.execute("create table if not exists notes(a)")
            if not hangs.is_set():
                hangs.set()
                assert go.wait(30)
                try:
                    tx.execute("insert into notes values (1)")
                except knocker.LeaseLost as error:
                    caught.append(error)
                    raise

        first = threading.Thread(target=webhooks.drain)
        first.start()
        assert hangs.wait(10)
        assert plain.receive(b"others go on").status_code == 204
        while not webhooks.drain():
            time.sleep(0.05)
        go.set()
        first.join()
        assert len(caught) == 1
        assert number is not None
        webhooks.drain()
        assert webhooks.read("select * from notes") == []
        assert {event.status for event in webhooks.list_events()} == {"handled"}


def test_a_handlers_timeout_is_refused_with_the_reason(webhooks: knocker.Inbox) -> None:
    with pytest.raises(knocker.InvalidArgument, match="Python cannot end a function"):
        asyncio.run(webhooks.run_worker(handler_timeout_s=5))  # type: ignore[arg-type]


def test_an_event_buried_by_the_claim_is_told(path: Path) -> None:
    """Worker after worker is killed by it, which only a claim without an end can play."""
    now = 1_700_000_000
    told: list[tuple[int, str, str | None]] = []
    ran: list[int] = []
    with knocker.open(path, clock=now) as webhooks:
        poison = webhooks.endpoint("x").receive(b"poison").event_id
        webhooks.add_handler("x", lambda event, tx: ran.append(event.id))
        for _ in range(5):
            killed = {"worker_id": "killed", "count": 1}
            (job,) = _native.knocker_claim(webhooks._capsule, killed)
            assert (job["event_id"], job["died"]) == (poison, 0)
            now += 61
            webhooks.set_clock(now)
        innocent = webhooks.receive("x", b"innocent").event_id

        def on_dead(event: knocker.Event, error: str | None) -> None:
            told.append((event.id, event.status, error))

        assert webhooks.drain(on_dead=on_dead) == [innocent]
        assert ran == [innocent]
        assert poison is not None
        error = webhooks.get_event(poison).last_error
        assert error is not None and told == [(poison, "dead", error)]
