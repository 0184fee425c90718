"""The worker's loop, from asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from conftest import Ingest

import knocker


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
