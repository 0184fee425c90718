"""The examples that users have read before they come here, run as they are printed: Python and SQL.

Each stands in printed.py as text. Its placeholders (a FastAPI application, an event to stop, a table) are filled in
around it, and it is checked by what it did to the file. Run by run_blocks.py; by hand: python docs/tests/test_printed_examples.py.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import knocker
import printed
from fastapi import FastAPI

BUILD = Path(os.environ.get("KNOCKER_BUILD", Path(__file__).resolve().parents[2] / "build"))
INVOICE = json.dumps({"id": "evt_1", "type": "invoice.created", "data": {"object": {"amount_due": 1200}}}).encode()


def run(text: str, names: dict[str, Any]) -> SimpleNamespace:
    """Runs an example among these names, in an event loop where it awaits, and gives all names back."""
    code: CodeType = compile(text, "printed", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))  # noqa: S307 - it is printed above
    else:
        exec(code, names)  # noqa: S102
    return SimpleNamespace(**{name: value for name, value in names.items() if name.isidentifier()})


handles: list[knocker.Inbox] = []


def opened() -> dict[str, Any]:
    names: dict[str, Any] = {"knocker": knocker}
    handles.append(run(printed.OPEN, names).webhooks)
    return names


def signed(kind: str) -> dict[str, Any]:
    body = json.dumps({"id": "evt_1", "type": kind}).encode()
    return {"body": body, "headers": knocker.sign("stripe", secrets=["whsec_123"], body=body)}


def an_endpoint_is_registered_in_either_shape() -> None:
    names = opened()
    assert run(printed.ENDPOINT_LOCAL, names).webhooks.queue_name == "knocker.events"
    first = names["stripe"].receive(**signed("checkout.session.completed"))
    assert names["webhooks"].drain() == [first.event_id]
    run(printed.EXPLICIT, names)
    assert names["webhooks"].receive("stripe", **signed("checkout.session.completed")).duplicate
    assert [row.name for row in names["webhooks"].list_endpoints()] == ["stripe"]
    result = run(printed.RECEIVE, names).result
    assert (result.status_code, result.event_id) == (401, None)


def a_provider_of_the_application_verifies() -> None:
    found = run(printed.PROVIDER, opened())
    for name in ("stripe", "github", "shopify"):
        assert found.versions[name] == "1.0.0"
    assert "acme" not in found.versions
    result = found.webhooks.receive("acme", b"{}", {"X-Acme-Delivery": "d1", "X-Acme-Event": "made"})
    event = found.webhooks.get_event(result.event_id)
    assert (event.event_type, event.provider_delivery_id) == ("made", "d1")


def ingest_takes_all_that_is_printed() -> None:
    names = opened()
    run(printed.ENDPOINT_LOCAL, names)
    result = run(printed.INGEST, names).result
    event = names["webhooks"].get_event(result.event_id)
    assert (result.status_code, event.body, event.dedupe_key) == (204, b"...", "evt_1")


def operators_look_and_act() -> None:
    names = opened()
    webhooks = names["webhooks"]
    webhooks.add_endpoint("x")
    webhooks.add_handler("x", lambda event, tx: None)
    for number in range(1, 42):
        webhooks.ingest("x", b"", signature_valid=False, signature_error=f"orphan {number}")
    assert webhooks.ingest("x", b"", signature_valid=True, dedupe_key="k").event_id == 42
    for number in range(43, 99):
        webhooks.ingest("x", b"", signature_valid=False, signature_error=f"orphan {number}")
    assert webhooks.ingest("x", b"again", signature_valid=True, dedupe_key="k").delivery_id == 99
    found = run(printed.LOOK, names)
    assert (found.event.id, found.delivery.event_id) == (42, 42)
    assert [event.id for event in found.events] == [42]
    assert (len(found.deliveries), found.deliveries[0].id) == (50, 99)
    for act, status in (("ignore", "ignored"), ("replay", "received"), ("ignore", "ignored"), ("requeue", "received")):
        run(printed.ACTS[act], names)
        assert webhooks.get_event(42).status == status
    webhooks.drain()
    run(printed.ACTS["replay_delivery"], names)
    assert webhooks.drain() == [42]


def a_worker_runs_until_it_is_told_to_stop() -> None:
    names = opened()
    webhooks = names["webhooks"]
    webhooks.add_endpoint("x")
    event_id = webhooks.ingest("x", b"", signature_valid=True).event_id
    stop = names["stop"] = asyncio.Event()

    def report_worker_error(error: BaseException) -> None:
        raise AssertionError from error

    names["report_worker_error"] = report_worker_error
    webhooks.add_handler("x", lambda event, tx: names["loop"].call_soon_threadsafe(stop.set))
    states = run("import asyncio\nloop = asyncio.get_running_loop()\nawait asyncio.sleep(0)\n" + printed.WORKER, names).states
    assert webhooks.get_event(event_id).status == "handled"
    assert [(state.running, state.current_event_id, state.last_error) for state in states] == [(False, None, None)]


def pruning_leaves_audits() -> None:
    found = run(printed.PRUNE, opened())
    assert found.summary.events_pruned == found.orphans.deliveries_pruned == 0
    assert [audit.kind for audit in found.audits] == ["prune_events"]


def retention_runs_until_it_is_told_to_stop() -> None:
    names = opened()
    stop = names["stop"] = asyncio.Event()
    text = f"import asyncio\nasyncio.get_running_loop().call_later(0.3, stop.set)\n{printed.RETENTION}"
    assert run(text, names).policy.interval_s == 3600
    assert stop.is_set()
    assert {audit.kind for audit in names["webhooks"].list_prune_audits()} == {"prune_events", "prune_orphan_deliveries"}


def rows_have_the_printed_fields() -> None:
    for name, fields in printed.FIELDS.items():
        found = [field.name for field in dataclasses.fields(getattr(knocker, name))]
        assert set(fields.split()) <= set(found), (name, found)
    request = knocker.ProviderRequest("POST", {"X-A": "1"}, {}, b"no json")
    assert (request.method, request.body, request.header("x-a"), request.header("x-b", "2")) == ("POST", b"no json", "1", "2")
    try:
        request.json()
    except ValueError:
        return
    raise AssertionError("json() took what is no JSON")


def ask(api: FastAPI, path: str, headers: dict[str, str], body: bytes) -> int:
    """One POST to an ASGI application, without a socket; returns the status."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"a=1", "headers": raw}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(api({**scope, "http_version": "1.1", "scheme": "http", "asgi": {"version": "3.0"}}, receive, send))  # type: ignore[arg-type]
    return int(sent[0]["status"])


def a_fastapi_route_receives() -> None:
    names = opened()
    names["webhooks"].add_endpoint("provider", provider="token-header", secrets=["dev-secret"])
    names["api"] = api = FastAPI()
    run(printed.ROUTE, names)
    assert ask(api, "/webhooks/provider", {"X-Knocker-Token": "dev-secret"}, INVOICE) == 204
    assert ask(api, "/webhooks/provider", {"X-Knocker-Token": "wrong"}, INVOICE) == 401
    event = names["webhooks"].get_event(1)
    assert (event.body, event.query) == (INVOICE, {"a": "1"})


def a_handler_writes_through_tx() -> None:
    names = opened()
    webhooks = names["webhooks"]
    names["automation"] = webhooks.endpoint("automation")
    with sqlite3.connect("knocker.db") as application:
        application.execute("CREATE TABLE invoices(provider_id, total_cents)")
    run(printed.HANDLER, names)
    webhooks.receive("automation", INVOICE, event_type="invoice.created")
    assert webhooks.drain() == [1]
    assert webhooks.read("SELECT * FROM invoices") == [{"provider_id": "evt_1", "total_cents": 1200}]


def sql_connection() -> sqlite3.Connection:
    connection = sqlite3.connect("knocker.db", isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(str(BUILD / "knocker"))
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("SELECT knocker_bootstrap()")
    connection.execute("SELECT knocker_endpoint_upsert('provider', '/webhooks/provider', 'token-header', 1)")
    connection.execute("CREATE TABLE invoices(provider_id, total_cents)")
    return connection


def sql_receives_and_handles() -> None:
    connection = sql_connection()
    headers = json.dumps({"X-Knocker-Token": "dev-secret"})
    values = {"headers_json": headers, "body_blob": INVOICE, "query_json": "{}"}
    assert json.loads(connection.execute(printed.SQL_ROUTE, values).fetchone()[0])["status_code"] == 204
    values["headers_json"] = "{}"
    assert json.loads(connection.execute(printed.SQL_ROUTE, values).fetchone()[0])["status_code"] == 401
    (job,) = json.loads(connection.execute("SELECT honker_claim_batch('knocker.events', 'w', 10, 60)").fetchone()[0])
    step = {
        "event_id": json.loads(job["payload"])["event_id"],
        "attempt_count": job["attempts"],
        "provider_id": "evt_1",
        "total_cents": 1200,
        "duration_ms": 3,
        "job_id": job["id"],
        "worker_id": "w",
    }
    last = [connection.execute(statement, step).fetchall() for statement in printed.SQL_WORKER.split(";")]
    assert last[-3] == [(1,)]  # honker_ack
    assert connection.execute("SELECT * FROM invoices").fetchall() == [("evt_1", 1200)]
    assert connection.execute("SELECT status, attempt_count FROM knocker_events").fetchall() == [("handled", 1)]
    connection.close()


TESTS: list[Callable[[], None]] = [
    an_endpoint_is_registered_in_either_shape,
    a_provider_of_the_application_verifies,
    ingest_takes_all_that_is_printed,
    operators_look_and_act,
    a_worker_runs_until_it_is_told_to_stop,
    pruning_leaves_audits,
    retention_runs_until_it_is_told_to_stop,
    rows_have_the_printed_fields,
    a_fastapi_route_receives,
    a_handler_writes_through_tx,
    sql_receives_and_handles,
]


def main() -> int:
    failed = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="knocker-printed-") as folder:
            os.chdir(folder)
            try:
                test()
            except Exception as error:  # noqa: BLE001 - the others are run too
                failed += 1
                print(f"{test.__name__}: {type(error).__name__}: {error}")
            while handles:
                handles.pop().close()
            os.chdir("/")
    print(f"{len(TESTS) - failed} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
