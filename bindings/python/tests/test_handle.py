"""Handles: threads, forks, closing, and arguments of the wrong kind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import knocker


def test_many_threads_receive_at_once(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    def receive(thread: int) -> None:
        for n in range(50):
            assert plain.receive(f"{thread} {n}").status_code == 204

    threads = [threading.Thread(target=receive, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert webhooks.stats()[0].queued == 400
    events = webhooks.list_events(limit=1000)
    assert len({event.body for event in events}) == 400


def test_a_blocked_call_lets_other_threads_run(
    webhooks: knocker.Inbox, plain: knocker.Endpoint, path: Path
) -> None:
    import sqlite3

    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    blocked = threading.Thread(target=plain.receive, args=(b"",))
    blocked.start()
    ticks = 0
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        time.sleep(0.001)
        ticks += 1
    assert blocked.is_alive() and ticks > 10
    writer.execute("rollback")
    writer.close()
    blocked.join()
    assert len(webhooks.list_deliveries()) == 1


def test_a_busy_file_is_an_error_of_its_own(path: Path) -> None:
    import sqlite3

    with knocker.open(path, busy_timeout_ms=50) as webhooks:
        webhooks.add_endpoint("x")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("begin immediate")
        with pytest.raises(knocker.Busy):
            webhooks.receive("x", b"")
        writer.close()
        assert webhooks.receive("x", b"").status_code == 204


def test_receive_many_answers_each_in_order(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    results = webhooks.receive_many(
        [
            {"endpoint": "plain", "body": b"1"},
            {"endpoint": "nobody"},
            {"endpoint": "plain", "body": []},  # type: ignore[typeddict-item]
            {"endpoint": "plain", "dedupe_key": 5},  # type: ignore[typeddict-item]
            {"endpoint": "plain", "colour": "red"},  # type: ignore[typeddict-unknown-key]
            {"endpoint": ["plain"]},  # type: ignore[typeddict-item]
            {"endpoint": "plain", "body": b"2"},
        ]
    )
    assert [type(result).__name__ for result in results] == [
        "IngestResult",
        "UnknownEndpoint",
        "InvalidArgument",
        "InvalidArgument",
        "TypeError",
        "InvalidArgument",
        "IngestResult",
    ]
    assert [event.body for event in webhooks.list_events()] == [b"2", b"1"]
    with pytest.raises(knocker.InvalidArgument):
        webhooks.receive_many([])


def test_a_closed_handle_says_so(path: Path) -> None:
    webhooks = knocker.open(path)
    endpoint = webhooks.endpoint("x")
    webhooks.close()
    webhooks.close()
    calls: list[Any] = [endpoint.receive, webhooks.stats, webhooks.list_events]
    calls += [webhooks.drain, lambda: webhooks.get_event(1)]
    for call in calls:
        with pytest.raises(knocker.Closed, match="closed"):
            call()
    with pytest.raises(knocker.Closed):
        asyncio.run(webhooks.run_worker())


def test_closing_lets_calls_of_other_threads_end(path: Path) -> None:
    for _ in range(20):
        webhooks = knocker.open(path)
        webhooks.add_endpoint("x")
        ended: list[BaseException] = []

        def receive(webhooks: knocker.Inbox = webhooks, ended: Any = ended) -> None:
            with pytest.raises(knocker.Closed) as caught:
                while True:
                    webhooks.receive("x", b"")
            ended.append(caught.value)

        threads = [threading.Thread(target=receive) for _ in range(4)]
        for thread in threads:
            thread.start()
        webhooks.close()
        for thread in threads:
            thread.join()
        assert len(ended) == 4


AFTER_FORK = """
import asyncio, os, sys
import knocker

webhooks = knocker.open("knocker.db")
plain = webhooks.endpoint("plain")
plain.receive(b"parent")
asyncio.run(plain.receive_async(b"parent"))  # which leaves threads behind, here only
child = os.fork()
if child == 0:
    webhooks.close()

    def receive_async():
        return asyncio.run(plain.receive_async())

    for call in (plain.receive, webhooks.stats, webhooks.drain, receive_async):
        try:
            call()
        except knocker.Closed as error:
            assert "fork" in str(error), error
        else:
            raise AssertionError(call)
    with knocker.open("knocker.db") as again:
        assert again.receive("plain", b"child").status_code == 204
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert plain.receive(b"parent").status_code == 204
assert len(webhooks.list_events()) == 4
"""


def test_a_handle_is_of_no_use_after_fork(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", AFTER_FORK]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


def test_an_existing_inbox_may_be_insisted_on(path: Path) -> None:
    with pytest.raises(knocker.StorageError, match="knocker.db"):
        knocker.open(path, existing=True)
    assert not path.exists()
    path.touch()
    with pytest.raises(knocker.StorageError, match="without an inbox"):
        knocker.open(path, existing=True)
    assert path.stat().st_size == 0
    knocker.open(path).close()
    knocker.open(path, existing=True).close()


def test_unknown_ids_are_key_errors_that_read_well(webhooks: knocker.Inbox) -> None:
    calls: list[Any] = [webhooks.get_event, webhooks.ignore, webhooks.replay]
    calls += [webhooks.requeue, webhooks.why, webhooks.get_delivery]
    calls += [webhooks.replay_delivery]
    for call in calls:
        with pytest.raises(KeyError) as caught:
            call(42)
        assert "42" in str(caught.value) and not str(caught.value).startswith("'")
        assert isinstance(caught.value, knocker.Error)
    with pytest.raises(KeyError, match="nobody"):
        webhooks.receive("nobody", b"")
    with pytest.raises(KeyError, match="nobody"):
        webhooks.pause("nobody")


def test_a_parsed_body_is_refused_with_the_reason(plain: knocker.Endpoint) -> None:
    bodies: list[Any] = [{}, [], {"id": 1}, 5]
    for body in bodies:
        with pytest.raises(ValueError, match="framework has parsed it"):
            plain.receive(body)


def test_bodies_of_every_kind_are_bytes(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    bodies: list[Any] = [b"\xff", bytearray(b"\xfe"), memoryview(b"\xfd"), "é", None]
    for body in bodies:
        plain.receive(body)
    stored = [event.body for event in webhooks.list_events()]
    assert stored == [b"", "é".encode(), b"\xfd", b"\xfe", b"\xff"]


def test_headers_and_queries_of_every_kind(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    latin = "é".encode().decode("latin-1")  # as a framework decodes an é in UTF-8
    headers = {"X-One": "1", "X-Two": ["a", "b"], "X-Name": latin, "X-Text": "日"}
    result = plain.receive(b"", headers, {"q": "a b", "r": ["1", "2"]})
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.headers["X-One"] == "1"
    assert delivery.headers["X-Two"] == ["a", "b"]
    assert (delivery.headers["X-Name"], delivery.headers["X-Text"]) == ("é", "日")
    assert delivery.query == {"q": "a b", "r": ["1", "2"]}
    result = plain.receive(b"", [("X-One", "1"), ("x-one", "2")], "q=1&q=2")
    delivery = webhooks.get_delivery(result.delivery_id)
    assert delivery.query == {"q": ["1", "2"]}
    wrong: list[Any] = [{"a\nb": "c"}, {"a": "b\r\nc: d"}, {"": "x"}, {"a": 5}, 5]
    wrong += [{"a:b": "c"}, ["ab", "cd", "e"], {"a": "\ud800"}, {5: "a"}]
    for headers in wrong:
        with pytest.raises(knocker.InvalidArgument):
            plain.receive(b"", headers)
    with pytest.raises(knocker.InvalidArgument):
        plain.receive(b"", {}, 5)  # type: ignore[arg-type]


def test_arguments_of_the_wrong_kind_are_named(webhooks: knocker.Inbox) -> None:
    wrong: list[tuple[Any, str]] = [
        (lambda: webhooks.get_event("1"), "str"),  # type: ignore[arg-type]
        (lambda: webhooks.get_event(2**70), "64 bits"),
        (lambda: webhooks.list_events(limit=0), "limit is 0"),
        (lambda: webhooks.list_events(limit=1001), "1001"),
        (lambda: webhooks.list_events(status="lost"), "lost"),
        (lambda: webhooks.add_endpoint(5), "name"),  # type: ignore[arg-type]
        (lambda: webhooks.add_endpoint("a\0b"), "name"),
        (lambda: webhooks.add_endpoint("x", backoff_base_s=0), "backoff_base_s is 0"),
        (lambda: webhooks.add_endpoint("x", max_attempts=-1), "-1"),
        (lambda: webhooks.set_clock("now"), "seconds"),  # type: ignore[arg-type]
        (lambda: webhooks.set_clock(float("nan")), "nan"),
        (lambda: webhooks.read("select ?", "a"), "list or tuple"),
        (lambda: webhooks.drain(max_jobs=0), "max_jobs is 0"),
        (lambda: webhooks.drain(queues="q"), "queues"),
        (lambda: webhooks.handle(5), "endpoint"),  # type: ignore[arg-type]
        (lambda: webhooks.pause("\ud800"), "surrogates"),
    ]
    for call, text in wrong[:-2] + wrong[-1:]:
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError):
        webhooks.list_events(colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        webhooks.list_events(before=1)  # type: ignore[call-arg]
    assert webhooks.list_endpoints() == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("synchronous", "off"),
        ("max_body_bytes", -1),
        ("max_attempts", 0),
        ("max_readers", 65),
        ("visibility_timeout_s", "60"),
        ("visibility_timeout_s", 0),
        ("queue_name", ""),
        ("init_sql", "nonsense"),
    ],
)
def test_options_of_the_wrong_value_are_refused(
    path: Path, option: str, value: Any
) -> None:
    with pytest.raises(knocker.Error):
        knocker.open(path, **{option: value})


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be one" * 100)
    for path in (tmp_path / "text", tmp_path, tmp_path / "no" / "where"):
        with pytest.raises(knocker.StorageError):
            knocker.open(path)
    with pytest.raises(ValueError):
        knocker.open("a\0b")


def test_max_body_bytes_of_zero_is_no_limit(path: Path) -> None:
    big = b"x" * 6_000_000
    with knocker.open(path) as webhooks:
        webhooks.add_endpoint("x")
        assert webhooks.receive("x", big).status_code == 413
    with knocker.open(path, max_body_bytes=0) as webhooks:
        assert webhooks.receive("x", memoryview(big)).status_code == 204
        assert webhooks.list_events()[0].body == big


def test_an_explanation_is_a_sentence(
    webhooks: knocker.Inbox, plain: knocker.Endpoint
) -> None:
    event_id = plain.receive(b"").event_id
    assert event_id is not None
    why = webhooks.why(event_id)
    assert why.cause == "waiting" and str(why) == why.sentence
    assert (why.event_id, why.status) == (event_id, "received")
    jobs = webhooks.list_jobs()
    assert [(job.event_id, job.endpoint, job.claims) for job in jobs] == [
        (event_id, "plain", 0)
    ]


def test_rows_are_frozen_and_compare(webhooks: knocker.Inbox) -> None:
    webhooks.add_endpoint("x", path="/x", queue_name="q")
    event_id = webhooks.ingest("x", headers={"a": "b"}, signature_valid=None).event_id
    assert event_id is not None
    event = webhooks.get_event(event_id)
    assert event == webhooks.get_event(event_id)
    assert len({event, webhooks.get_event(event_id)}) == 1
    with pytest.raises(AttributeError):
        event.status = "handled"  # type: ignore[misc]
    delivery = webhooks.list_deliveries(signature_valid=False)[0]
    assert delivery.signature_valid is None
    row = webhooks.list_endpoints()[0]
    assert (row.name, row.path, row.queue_name) == ("x", "/x", "q")
    assert (row.enabled, row.paused) == (True, False)


def test_another_copy_of_sqlite_is_refused(second_sqlite: str, tmp_path: Path) -> None:
    program = f"""{second_sqlite}
try:
    knocker.open("x.db")
except knocker.StorageError as error:
    assert "another copy of SQLite" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert not (tmp_path / "x.db").exists()
