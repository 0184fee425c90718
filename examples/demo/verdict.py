"""What the file says: plain SQL on Knocker's views, through Python's own sqlite3, opened read-only."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

OWN_ROWS = """(select event_id from invoices union all select event_id from pushes
    union all select event_id from messages)"""


class Wrong(Exception):
    """The file does not say what it should."""


@dataclass
class Request:
    """A request that was sent, and what must have become of it."""

    provider: str
    id: str | None  # the provider's own: of the event, for GitHub of the delivery; none in a handshake
    body: bytes
    headers: list[str] = field(default_factory=list)
    status: int = 204
    repeat: bool = False
    reason: str | None = None  # a word of why it is refused
    outcomes: list[str] = field(default_factory=lambda: ["handled"])  # of the attempts, in order

    def again(self) -> Self:
        return replace(self, repeat=True)

    def refused(self, reason: str) -> Self:
        return replace(self, status=401, reason=reason)

    def attempts(self, *outcomes: str) -> Self:
        self.outcomes = list(outcomes)
        return self


def ask(database: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def unsettled(database: Path) -> int:
    """How many events still wait for their handler to succeed."""
    return int(ask(database, "select count(*) from knocker_events where status <> 'handled'")[0][0])


def handled(database: Path) -> int:
    return int(ask(database, "select count(*) from knocker_events where status = 'handled'")[0][0])


def endpoints(database: Path) -> int:
    """How many there are; 0 also where there is no inbox yet."""
    if not ask(database, "select 1 from sqlite_master where name = 'knocker_endpoints'"):
        return 0
    return int(ask(database, "select count(*) from knocker_endpoints")[0][0])


def event_id(database: Path, id: str) -> int:
    rows = ask(
        database, "select id from knocker_events where ? in (provider_event_id, provider_delivery_id)", id
    )
    if len(rows) != 1:
        raise Wrong(f"{id} is {len(rows)} events")
    return int(rows[0][0])


def state_of(database: Path, id: str) -> tuple[int, str]:
    """How many rows its handler has committed, and the event's status."""
    event = event_id(database, id)
    rows = ask(database, f"select count(*) from {OWN_ROWS} where event_id = ?", event)[0][0]
    return int(rows), str(ask(database, "select status from knocker_events where id = ?", event)[0][0])


def need(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def judge_handlers(database: Path, table: str) -> None:
    """Each event of the crowd's is handled, and its handler's row is there once."""
    rows = ask(
        database,
        f"""select count(*), count(distinct event_id),
                   (select count(*) from knocker_events where status = 'handled' and id in (select event_id from {table}))
            from {table}""",
    )[0]
    need(f"rows of {table}, their events, and handled ones", list(rows), [rows[0]] * 3)
    unhandled = ask(
        database, f"select count(*) from knocker_events where id not in (select event_id from {OWN_ROWS})"
    )
    need("events without a row", unhandled[0][0], 0)


def judge_event(database: Path, request: Request, times: int) -> None:
    """One event, a delivery each time it was sent, its body intact, its attempts as told, one row a success."""
    assert request.id is not None
    event = event_id(database, request.id)
    stored = ask(database, "select body_blob from knocker_events where id = ?", event)[0][0]
    need(
        f"the body of {request.id}",
        hashlib.sha256(stored).hexdigest(),
        hashlib.sha256(request.body).hexdigest(),
    )
    valid = ask(database, "select signature_valid from knocker_deliveries where event_id = ?", event)
    need(f"deliveries of {request.id}", valid, [(1,)] * times)
    outcomes = ask(database, "select outcome from knocker_attempts where event_id = ? order by id", event)
    need(f"attempts of {request.id}", [row[0] for row in outcomes], request.outcomes)
    need(f"{request.id}", state_of(database, request.id), (request.outcomes.count("handled"), "handled"))


def judge_refused(database: Path, request: Request) -> str:
    """One delivery without an event, with its reason, which is given back."""
    rows = ask(
        database,
        """select event_id, signature_valid, signature_error from knocker_deliveries
           where ? in (provider_event_id, provider_delivery_id)""",
        request.id,
    )
    need(f"deliveries of {request.id}", len(rows), 1)
    need(f"{request.id}", rows[0][:2], (None, 0))
    reason = str(rows[0][2] or "")
    if request.reason is None or request.reason not in reason:
        raise Wrong(f"{request.id} was refused for {reason!r}, not for {request.reason!r}")
    return reason


def judge_handshakes(database: Path, count: int) -> None:
    rows = ask(
        database,
        """select event_id, signature_error like '%handshake%' from knocker_deliveries
           where provider_event_id is null and provider_delivery_id is null""",
    )
    need("handshakes on record", rows, [(None, 1)] * count)


def judge(database: Path, sent: list[Request]) -> Iterator[str]:
    """Says what it found right, a line each; the first thing that is wrong ends it."""
    events = [r for r in sent if r.status == 204 and not r.repeat]
    repeats = [r for r in sent if r.repeat]
    refused = [r for r in sent if r.reason is not None]
    for request in events:
        judge_event(database, request, 1 + sum(r.id == request.id for r in repeats))
    handled = sum(r.outcomes.count("handled") for r in events)
    need("rows of all handlers", ask(database, f"select count(*) from {OWN_ROWS}")[0][0], handled)
    need("events in all", ask(database, "select count(*) from knocker_events")[0][0], len(events))
    yield f"{len(events)} valid requests: stored once, bytes intact, handled once (evt_1: and once in its replay)"
    yield f"{len(repeats)} repeats: each a delivery of the event that was there"
    reasons: dict[str, list[str]] = {}
    for request in refused:
        reasons.setdefault(judge_refused(database, request), []).append(str(request.id))
    for reason, ids in reasons.items():
        yield f"{', '.join(ids)}: refused, no event: {reason}"
    judge_handshakes(database, sum(r.id is None for r in sent))
    need("deliveries in all", ask(database, "select count(*) from knocker_deliveries")[0][0], len(sent))
    need("integrity_check", ask(database, "pragma integrity_check"), [("ok",)])
    yield f"{len(sent)} requests were sent, {len(sent)} deliveries are on record; the file is sound"
