"""What comes back, as frozen dataclasses whose fields are the columns of knocker.h.

Times are Unix seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from . import _native
from .errors import Closed
from .requests import milliseconds

T = TypeVar("T")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What a receipt became; the route answers with its status, headers and body."""

    delivery_id: int
    event_id: int | None
    duplicate: bool
    status_code: int
    response_headers: dict[str, str] = field(default_factory=dict, hash=False)
    response_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """The unit of work. Its body, headers and query are those of the delivery that created it."""

    id: int
    endpoint: str
    event_type: str | None
    provider_event_id: str | None
    provider_delivery_id: str | None
    dedupe_key: str | None
    status: str
    attempt_count: int
    headers: Json = field(hash=False)
    query: Json = field(hash=False)
    body: bytes
    received_at: int
    handled_at: int | None
    last_error: str | None
    _work: _native.Work | None = field(default=None, repr=False, compare=False)

    def extend(self, seconds: float) -> None:
        """In a handler: the lease now ends `seconds` from now."""
        if self._work is None:
            raise Closed("an event is extended by its handler only")
        _native.knocker_extend(self._work, milliseconds("seconds", seconds))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP receipt. Without an event it is an orphan, and `signature_error` says why."""

    id: int
    event_id: int | None
    endpoint: str
    event_type: str | None
    provider_event_id: str | None
    provider_delivery_id: str | None
    dedupe_key: str | None
    method: str
    headers: Json = field(hash=False)
    query: Json = field(hash=False)
    body: bytes | None
    received_at: int
    signature_valid: bool | None
    signature_error: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a handler: handled, failed, dead or ignored."""

    id: int
    event_id: int
    attempted_at: int
    outcome: str
    error: str | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint as the file has it. Its secrets and options are in no file."""

    id: int
    name: str
    path: str | None
    provider: str | None
    enabled: bool
    paused: bool
    queue_name: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Job:
    """A queued event. `claims` counts how often it was leased."""

    id: int
    queue_name: str
    endpoint: str | None
    event_id: int
    delivery_id: int | None
    due_at: int
    worker_id: str | None
    claims: int
    payload: str | None


@dataclass(frozen=True, slots=True)
class PruneAudit:
    """What a prune removed; audits are never pruned."""

    id: int
    kind: str
    queue_name: str | None
    executed_at: int
    events_pruned: int
    deliveries_pruned: int
    attempts_pruned: int
    live_jobs_pruned: int
    summary_json: str | None


@dataclass(frozen=True, slots=True)
class PruneEventsResult:
    """How much `prune_events` removed, or would remove."""

    events_pruned: int
    attempts_pruned: int
    deliveries_pruned: int
    live_jobs_pruned: int


@dataclass(frozen=True, slots=True)
class PruneDeliveriesResult:
    """How many orphans `prune_orphan_deliveries` removed, or would remove."""

    deliveries_pruned: int


@dataclass(frozen=True, slots=True)
class Reverified:
    """What a second look at an orphan came to.

    `outcome` is `event`, `repeat`, `rejected`, `redacted` or `no_body`; `signature_error` is
    what was said to its sender, `error` why it makes no event today either.
    """

    delivery_id: int
    outcome: str
    event_id: int | None
    signature_error: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why an event is where it is: `sentence` for people, `cause` (a word) for programs."""

    event_id: int
    status: str
    sentence: str
    cause: str
    due_at: int | None
    worker_id: str | None
    lease_until: int | None
    attempt_count: int
    last_error: str | None
    orphan_delivery_id: int | None
    orphan_error: str | None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts for a health check, of one endpoint, or of all (`endpoint` is None)."""

    endpoint: str | None
    queued: int
    due: int
    oldest_due_age_s: int | None
    processing: int
    failed: int
    dead: int
    ignored: int
    handled: int | None
    orphans: int
    orphan_bytes: int
    orphans_dropped: int
    redated: int | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What `knocker.verify` found: the verdict, the ids, and the answer to give."""

    valid: bool
    error: str | None
    event_type: str | None
    provider_event_id: str | None
    provider_delivery_id: str | None
    dedupe_key: str | None
    response_status: int | None
    response_headers: dict[str, str] = field(default_factory=dict, hash=False)
    response_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What would have made a request valid: a stable word, and a sentence for people."""

    cause: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a statement of a handler did."""

    rowcount: int
    lastrowid: int


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker of this process, as it is now."""

    worker_id: str
    running: bool
    current_event_id: int | None
    last_error: str | None


def _lines(text: str | None) -> dict[str, str]:
    pairs = (line.partition(":") for line in (text or "").split("\n") if line)
    return {name: value.strip() for name, _, value in pairs}


def _json(text: str | None) -> Json:
    return json.loads(text or "{}")  # type: ignore[no-any-return]


def _boolean(value: int | None) -> bool | None:
    return None if value is None else value != 0


# How a column becomes a field where the two differ: its field's name, and a function.
_CONVERSIONS: dict[str, Any] = {
    "headers_json": ("headers", _json),
    "query_json": ("query", _json),
    "response_headers": ("response_headers", _lines),
    "duplicate": ("duplicate", _boolean),
    "valid": ("valid", _boolean),
    "signature_valid": ("signature_valid", _boolean),
    "enabled": ("enabled", _boolean),
    "paused": ("paused", _boolean),
}


def one(made: type[T], found: list[Json], **more: Any) -> T:
    """The first of C's rows as an object."""
    row = found[0]
    for column, (name, convert) in _CONVERSIONS.items():
        if column in row:
            more[name] = convert(row.pop(column))
    return made(**row, **more)


def many(made: type[T], found: list[Json]) -> list[T]:
    return [one(made, [row]) for row in found]
