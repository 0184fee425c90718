"""`receive_async`: many awaiters, one commit, and nobody disturbs another."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Ingest

import knocker


@pytest.fixture
def batches(webhooks: knocker.Inbox, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests went over at each time."""
    seen: list[int] = []
    receive_many = webhooks.receive_many

    def note(requests: list[Any]) -> list[Any]:
        seen.append(len(requests))
        return receive_many(requests)

    monkeypatch.setattr(webhooks._turns, "_receive_many", note)
    return seen


def test_receipts_of_one_turn_are_one_batch(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, batches: list[int]
) -> None:
    async def main() -> list[knocker.IngestResult]:
        many = [plain.receive_async(str(n), dedupe_key=str(n % 3)) for n in range(5)]
        return await asyncio.gather(*many)

    results = asyncio.run(main())
    assert [result.duplicate for result in results] == [False] * 3 + [True] * 2
    assert results[0].event_id == results[3].event_id
    assert batches == [5]


def test_more_than_a_batch_holds_is_split(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, batches: list[int]
) -> None:
    async def main() -> None:
        results = await asyncio.gather(
            *[plain.receive_async(str(n)) for n in range(1001)]
        )
        assert len({result.event_id for result in results}) == 1001

    asyncio.run(main())
    assert sorted(batches) == [1, 1000]


def test_a_bad_request_fails_alone(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    async def main() -> list[Any]:
        wrong: Any = plain.receive_async
        calls = [
            plain.receive_async(b"good"),
            webhooks.receive_async("nobody", b""),
            wrong({}),
            wrong(b"", dedupe_key=5),
            wrong(b"", colour="red"),
            wrong(b"", {"a": "\ud800"}),
            plain.receive_async(b"good too"),
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, *errors, last = asyncio.run(main())
    assert (first.status_code, last.status_code) == (204, 204)
    assert [type(error).__name__ for error in errors] == [
        "UnknownEndpoint",
        "InvalidArgument",
        "InvalidArgument",
        "TypeError",
        "InvalidArgument",
    ]
    assert len(webhooks.list_deliveries()) == 2


def test_a_cancelled_receipt_disturbs_no_other(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, batches: list[int]
) -> None:
    async def main() -> None:
        early, late, kept = (
            asyncio.ensure_future(plain.receive_async(name))
            for name in (b"early", b"late", b"kept")
        )
        asyncio.get_running_loop().call_soon(early.cancel)
        while not batches:
            await asyncio.sleep(0)
        late.cancel()
        assert (await kept).status_code == 204
        for one in (early, late):
            with pytest.raises(asyncio.CancelledError):
                await one

    asyncio.run(main())
    bodies = {delivery.body for delivery in webhooks.list_deliveries()}
    assert bodies - {b"late"} == {b"kept"}


def test_cancelling_at_random_loses_and_disturbs_nothing(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    async def one(n: int) -> int:
        task = asyncio.ensure_future(plain.receive_async(str(n)))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        if n % 3 == 0:
            task.cancel()
        result = await task
        assert result.status_code == 204
        return n

    async def main() -> list[Any]:
        return await asyncio.gather(*map(one, range(600)), return_exceptions=True)

    results = asyncio.run(main())
    answered = {n for n in results if isinstance(n, int)}
    assert {n for n in range(600) if n % 3} <= answered
    stored = {int(delivery.body or b"") for delivery in all_deliveries(webhooks)}
    assert answered <= stored


def all_deliveries(webhooks: knocker.Inbox) -> list[knocker.Delivery]:
    return webhooks.list_deliveries(limit=1000)


def test_several_event_loops_share_a_handle(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    async def main(name: int) -> None:
        for turn in range(20):
            bodies = [f"{name} {turn} {n}" for n in range(5)]
            results = await asyncio.gather(*map(plain.receive_async, bodies))
            for body, result in zip(bodies, results):
                delivery = webhooks.get_delivery(result.delivery_id)
                assert delivery.body == body.encode()

    failures: list[BaseException] = []

    def run(name: int) -> None:
        try:
            asyncio.run(main(name))
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(all_deliveries(webhooks)) == 400


def test_a_loop_that_ends_leaves_the_others_alone(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    async def leave() -> None:
        asyncio.ensure_future(plain.receive_async(b"left"))
        await asyncio.sleep(0)

    async def stay() -> knocker.IngestResult:
        return await plain.receive_async(b"stayed")

    for _ in range(20):
        asyncio.run(leave())
        assert asyncio.run(stay()).status_code == 204


def test_a_failure_of_all_is_an_error_of_each(path: Path) -> None:
    import sqlite3

    with knocker.open(path, busy_timeout_ms=50) as webhooks:
        webhooks.add_endpoint("x")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("begin immediate")

        async def main() -> list[Any]:
            calls = [webhooks.receive_async("x", str(n)) for n in range(3)]
            return await asyncio.gather(*calls, return_exceptions=True)

        errors = asyncio.run(main())
        writer.close()
        assert [type(error) for error in errors] == [knocker.Busy] * 3
        assert len({id(error) for error in errors}) == 3
        assert asyncio.run(main())[0].status_code == 204


def test_a_closed_handle_and_a_handlers_own_say_so(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, ingest: Ingest
) -> None:
    texts: list[str] = []

    @plain.handle()
    def call(event: knocker.Event, tx: knocker.Tx) -> None:
        with pytest.raises(knocker.InvalidArgument) as caught:
            asyncio.run(plain.receive_async(b""))
        texts.append(str(caught.value))

    ingest()
    webhooks.drain()
    assert len(texts) == 1 and "use tx" in texts[0]
    webhooks.close()
    for _ in range(2):
        with pytest.raises(knocker.Closed):
            asyncio.run(plain.receive_async(b""))


def test_closing_within_a_turn_answers_everybody(path: Path) -> None:
    async def main() -> list[Any]:
        webhooks = knocker.open(path)
        plain = webhooks.endpoint("plain")
        calls = [asyncio.ensure_future(plain.receive_async(str(n))) for n in range(3)]
        await asyncio.sleep(0)
        webhooks.close()
        late = asyncio.ensure_future(plain.receive_async(b"late"))
        return await asyncio.wait_for(
            asyncio.gather(*calls, late, return_exceptions=True), 20
        )

    *results, late = asyncio.run(main())
    assert isinstance(late, knocker.Closed)
    kinds = {type(result) for result in results}
    assert kinds <= {knocker.IngestResult, knocker.Closed} and len(results) == 3
