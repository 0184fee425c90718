"""What a handler may do and say."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Ingest

import knocker


def test_writes_and_the_status_commit_together(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def write(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("create table notes(id integer primary key, a, b)")
        done = tx.execute("insert into notes(a, b) values (?, ?)", (1, b"\x00\xff"))
        assert (done.rowcount, done.lastrowid) == (1, 1)
        tx.execute("insert into notes(a, b) values (?, ?)", [2.5, bytearray(b"x")])
        tx.execute("insert into notes(a, b) values (?, ?)", ["é", None])
        found = tx.query("select a, b from notes where id >= ? order by id", [1])
        assert found[0] == {"a": 1, "b": b"\x00\xff"}
        assert found[1:] == [{"a": 2.5, "b": b"x"}, {"a": "é", "b": None}]

    number = ingest()
    assert webhooks.run_worker_once() == number
    assert webhooks.get_event(number).status == "handled"
    assert webhooks.read("select count(*) as n from notes") == [{"n": 3}]
    assert [one.outcome for one in webhooks.list_attempts(number)] == ["handled"]


def test_an_exception_rolls_back_and_is_recorded(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def fail(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("create table notes(a)")
        raise LookupError("no such moon")

    number = ingest()
    webhooks.drain()
    event = webhooks.get_event(number)
    assert (event.status, event.attempt_count) == ("failed", 1)
    assert event.last_error == "LookupError: no such moon"
    assert webhooks.read("select name from sqlite_schema where name = 'notes'") == []


def test_a_handler_says_retry_ignore_or_dead(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def say(event: knocker.Event, tx: knocker.Tx) -> None:
        if event.event_type == "later":
            raise knocker.RetryAfter(30, "not yet")
        if event.event_type == "never":
            raise knocker.Ignore("not ours")
        raise knocker.Dead("broken")

    deaths: list[tuple[int, str, str | None]] = []
    later, never, dead = ingest("later"), ingest("never"), ingest("dead")
    webhooks.drain(on_dead=lambda e, error: deaths.append((e.id, e.status, error)))
    event = webhooks.get_event(later)
    assert (event.status, event.attempt_count) == ("received", 0)
    assert event.last_error == "not yet"
    assert webhooks.get_event(never).status == "ignored"
    assert webhooks.get_event(dead).last_error == "broken"
    assert deaths == [(dead, "dead", "broken")]


def test_an_event_without_a_handler_dies(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    webhooks.add_handler("plain", lambda event, tx: None, "other")
    deaths: list[str | None] = []
    number = ingest("t")
    webhooks.drain(on_dead=lambda event, error: deaths.append(error))
    event = webhooks.get_event(number)
    assert (event.status, event.attempt_count) == ("dead", 1)
    assert event.last_error is not None and "no handler registered" in event.last_error
    assert deaths == [event.last_error]


def test_the_typed_handler_wins_over_the_fallback(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, ingest: Ingest
) -> None:
    ran: list[str] = []
    plain.handle()(lambda event, tx: ran.append("fallback"))
    plain.handle("t")(lambda event, tx: ran.append("typed"))
    ingest("t")
    ingest("u")
    webhooks.drain()
    assert ran == ["typed", "fallback"]


async def _coroutine(event: knocker.Event, tx: knocker.Tx) -> None: ...


def _generator(event: knocker.Event, tx: knocker.Tx) -> Any:
    yield


@pytest.mark.parametrize("handler", [_coroutine, _generator])
def test_a_handler_that_is_not_synchronous_fails_with_that_reason(
    webhooks: knocker.Inbox, ingest: Ingest, handler: knocker.Handler
) -> None:
    webhooks.add_handler("plain", handler)
    number = ingest()
    webhooks.drain()
    event = webhooks.get_event(number)
    assert event.status == "failed"
    assert event.last_error is not None and "synchronous" in event.last_error


def test_what_has_ended_cannot_be_used(webhooks: knocker.Inbox, ingest: Ingest) -> None:
    kept: list[Any] = []
    webhooks.add_handler("plain", lambda event, tx: kept.extend((event, tx)))
    number = ingest()
    webhooks.drain()
    event, tx = kept
    with pytest.raises(knocker.Closed, match="returned|ended"):
        tx.execute("select 1")
    with pytest.raises(knocker.Closed):
        event.extend(10)
    with pytest.raises(knocker.Closed):
        webhooks.get_event(number).extend(10)


def test_the_handle_refuses_calls_from_inside_its_handler(
    webhooks: knocker.Inbox, ingest: Ingest, plain: knocker.Endpoint
) -> None:
    texts: list[str] = []

    @plain.handle()
    def call(event: knocker.Event, tx: knocker.Tx) -> None:
        calls = (webhooks.stats, webhooks.close, webhooks.drain, plain.receive)
        for one in calls:
            with pytest.raises(knocker.InvalidArgument) as caught:
                one()
            texts.append(str(caught.value))

    number = ingest()
    webhooks.drain()
    assert webhooks.get_event(number).last_error is None
    assert len(texts) == 4 and all("use tx" in text for text in texts)


def test_a_thread_that_carries_the_context_is_inside_too(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    import contextvars

    texts: list[str] = []

    def call() -> None:
        try:
            webhooks.stats()
        except knocker.InvalidArgument as error:
            texts.append(str(error))

    @webhooks.handle("plain")
    def handler(event: knocker.Event, tx: knocker.Tx) -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(call,))
        thread.start()
        thread.join()

    ingest()
    webhooks.drain()
    assert len(texts) == 1


def test_tx_receives_and_ingests(webhooks: knocker.Inbox, ingest: Ingest) -> None:
    webhooks.add_endpoint("next")

    @webhooks.handle("plain")
    def forward(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.receive("next", event.body, event_type="a")
        tx.ingest("next", event.body, signature_valid=None, event_type="b")
        with pytest.raises(KeyError, match="nobody"):
            tx.receive("nobody", b"")
        if event.event_type == "undo":
            raise RuntimeError("undo")

    ingest("undo", body=b"1")
    ingest("do", body=b"2")
    webhooks.drain(max_jobs=2)
    events = webhooks.list_events(endpoint="next")
    assert [(event.event_type, event.body) for event in events] == [
        ("b", b"2"),
        ("a", b"2"),
    ]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_thread_rolls_back_without_an_attempt(
    webhooks: knocker.Inbox, ingest: Ingest, kind: type[BaseException]
) -> None:
    torn: list[bool] = []

    @webhooks.handle("plain")
    def tear(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("create table notes(a)")
        if not torn:
            torn.append(True)
            raise kind

    first, second = ingest(), ingest("other")
    with pytest.raises(kind):
        webhooks.drain()
    event = webhooks.get_event(first)
    assert (event.attempt_count, event.last_error) == (0, None)
    assert webhooks.list_attempts(first) == []
    webhooks.add_handler("plain", lambda event, tx: None)
    assert webhooks.drain() == [first, second]


def test_statement_errors_are_the_handlers(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def wrong(event: knocker.Event, tx: knocker.Tx) -> None:
        with pytest.raises(knocker.SqlError, match="nonsense"):
            tx.execute("nonsense")
        with pytest.raises(knocker.InvalidArgument, match="parameter 2 must be .* set"):
            tx.execute("select ?, ?", [1, set()])
        with pytest.raises(knocker.InvalidArgument, match="64 bits"):
            tx.execute("select ?", [2**63])
        with pytest.raises(knocker.InvalidArgument, match="list or tuple"):
            tx.execute("select ?", "a")
        with pytest.raises(knocker.InvalidArgument, match="list or tuple"):
            tx.query("select :a", {"a": 1})  # type: ignore[arg-type]
        with pytest.raises(knocker.Error):
            tx.execute("commit")
        tx.query("select * from missing")

    number = ingest()
    webhooks.drain()
    error = webhooks.get_event(number).last_error
    assert error is not None and error.startswith("SqlError: ") and "missing" in error


def test_writes_that_cannot_commit_fail_their_handler(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    @webhooks.handle("plain")
    def orphan(event: knocker.Event, tx: knocker.Tx) -> None:
        tx.execute("create table parent(id integer primary key)")
        child = "create table child(p references parent deferrable initially deferred)"
        tx.execute(child)
        tx.execute("insert into child values (1)")

    number = ingest()
    assert webhooks.drain() == [number]
    assert webhooks.get_event(number).status == "failed"


def test_a_lease_is_extended_and_a_lost_one_commits_nothing(path: Path) -> None:
    now = 1_700_000_000
    with (
        knocker.open(path, clock=now) as one,
        knocker.open(path, clock=now) as two,
    ):
        one.add_endpoint("x")
        event_id = one.ingest("x", signature_valid=True).event_id
        ran: list[str] = []

        @one.handle("x")
        def slow(event: knocker.Event, tx: knocker.Tx) -> None:
            event.extend(600)
            for inbox in (one, two):
                inbox.set_clock(now + 120)
            ran.extend("two" for _ in two.drain())
            for inbox in (one, two):
                inbox.set_clock(now + 1200)
            ran.extend("two" for _ in two.drain())
            with pytest.raises(knocker.LeaseLost):
                tx.execute("create table notes(a)")

        two.add_handler("x", lambda event, tx: None)
        assert one.drain() == []
        assert ran == ["two"]
        assert event_id is not None
        assert one.get_event(event_id).status == "handled"
        assert one.read("select name from sqlite_schema where name = 'notes'") == []


def test_values_that_cannot_be_shown_are_recorded(
    webhooks: knocker.Inbox, ingest: Ingest
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raised: list[Exception] = [Mute(), ValueError("\ud800"), ValueError("a\0b")]

    @webhooks.handle("plain")
    def fail(event: knocker.Event, tx: knocker.Tx) -> None:
        raise raised[int(event.event_type or "")]

    numbers = [ingest(str(index)) for index in range(3)]
    assert webhooks.drain() == numbers
    events = [webhooks.get_event(number) for number in numbers]
    assert [event.status for event in events] == ["failed"] * 3
    assert events[0].last_error == "Mute"
    assert events[1].last_error == "ValueError: \\ud800"


def test_registering_something_else_is_refused(plain: knocker.Endpoint) -> None:
    with pytest.raises(knocker.InvalidArgument, match="event_type"):
        plain.handle(lambda event, tx: None)  # type: ignore[arg-type]
    with pytest.raises(knocker.InvalidArgument, match="function"):
        plain.handle()(1)  # type: ignore[arg-type]
