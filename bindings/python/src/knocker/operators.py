"""The operators' half of a handle: looking at rows, and acting on events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _native, rows
from .errors import InvalidArgument
from .requests import Page, choice, count, page_members, texts_json

if TYPE_CHECKING:
    from typing_extensions import Unpack

EVENT = rows.Kind(rows.Event, _native.KNOCKER_EVENT)
DELIVERY = rows.Kind(rows.Delivery, _native.KNOCKER_DELIVERY)
ATTEMPT = rows.Kind(rows.Attempt, _native.KNOCKER_ATTEMPT)
ENDPOINT = rows.Kind(rows.EndpointRow, _native.KNOCKER_ENDPOINT)
JOB = rows.Kind(rows.Job, _native.KNOCKER_JOB)
AUDIT = rows.Kind(rows.PruneAudit, _native.KNOCKER_AUDIT)


def tuple_or_list(parameters: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(parameters, (list, tuple)):
        return parameters
    raise InvalidArgument(
        f"parameters must be a list or tuple, not {type(parameters).__name__}"
    )


def _prune(older_than: int, limit: int | None, dry_run: bool) -> dict[str, Any]:
    return {
        "older_than_s": older_than,
        "limit": count("limit", limit),
        "dry_run": int(dry_run),
    }


class Operators:
    """What `Inbox` inherits: each method is one call on its handle."""

    @property
    def _handle(self) -> _native.Handle:
        raise NotImplementedError

    # -- looking

    def get_event(self, event_id: int) -> rows.Event:
        return EVENT.of(_native.knocker_get(self._handle, EVENT.number, event_id)[0])

    def get_delivery(self, delivery_id: int) -> rows.Delivery:
        return DELIVERY.of(
            _native.knocker_get(self._handle, DELIVERY.number, delivery_id)[0]
        )

    def list_events(
        self,
        *,
        status: str | None = None,
        endpoint: str | None = None,
        event_type: str | None = None,
        **page: Unpack[Page],
    ) -> list[rows.Event]:
        """Newest first, at most `limit` (100); `before_id` gives the next page."""
        return self._list(
            EVENT,
            status=status,
            endpoint=endpoint,
            event_type=event_type,
            **page_members(page),
        )

    def list_deliveries(
        self,
        *,
        event_id: int | None = None,
        endpoint: str | None = None,
        event_type: str | None = None,
        signature_valid: bool | None = None,
        orphaned: bool | None = None,
        **page: Unpack[Page],
    ) -> list[rows.Delivery]:
        """Newest first. `signature_valid=False` is "not true": also those that nobody checked."""
        return self._list(
            DELIVERY,
            event_id=count("event_id", event_id),
            endpoint=endpoint,
            event_type=event_type,
            signature_valid=choice(signature_valid),
            orphaned=choice(orphaned),
            **page_members(page),
        )

    def list_attempts(
        self,
        event_id: int | None = None,
        **page: Unpack[Page],
    ) -> list[rows.Attempt]:
        """The runs of handlers, newest first."""
        return self._list(
            ATTEMPT,
            event_id=count("event_id", event_id),
            **page_members(page),
        )

    def list_jobs(
        self, *, endpoint: str | None = None, limit: int | None = None
    ) -> list[rows.Job]:
        """What is queued, as it comes due."""
        return self._list(JOB, endpoint=endpoint, limit=count("limit", limit))

    def list_prune_audits(
        self,
        *,
        kind: str | None = None,
        **page: Unpack[Page],
    ) -> list[rows.PruneAudit]:
        """What was pruned when, newest first."""
        return self._list(
            AUDIT,
            audit_kind=kind,
            **page_members(page),
        )

    def _list(self, kind: rows.Kind[rows.T], **members: Any) -> list[rows.T]:
        return kind.all(
            _native.knocker_list(self._handle, {"kind": kind.number, **members})
        )

    def list_endpoints(self, **page: Unpack[Page]) -> list[rows.EndpointRow]:
        """The endpoints in the file, by name."""
        return self._list(ENDPOINT, **page_members(page))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A query of the application's own, outside any transaction, which sees what is
        committed.
        """
        return _native.knocker_read(self._handle, sql, tuple_or_list(parameters))

    def why(self, event_id: int) -> rows.Why:
        """Why an event is where it is."""
        return rows.Kind(rows.Why).of(_native.knocker_why(self._handle, event_id)[0])

    def stats(self) -> list[rows.Stats]:
        """First all together (its `endpoint` is None), then one an endpoint, by name."""
        return rows.Kind(rows.Stats).all(_native.knocker_stats(self._handle))

    # -- operating

    def pause(self, endpoint: str) -> None:
        """Holds the handling of an endpoint's events, for all workers; receiving goes on."""
        _native.knocker_endpoint_pause(self._handle, endpoint, 1)

    def resume(self, endpoint: str) -> None:
        """Handles the events of a paused endpoint again."""
        _native.knocker_endpoint_pause(self._handle, endpoint, 0)

    def ignore(self, event_id: int, reason: str | None = None) -> None:
        """The event's queued job will not call its handler."""
        _native.knocker_ignore(self._handle, event_id, reason)

    def replay(self, event_id: int) -> None:
        """Runs a finished or failed event's own body again."""
        _native.knocker_replay(self._handle, event_id)

    def requeue(self, event_id: int) -> None:
        """Queues an event that has no live job."""
        _native.knocker_requeue(self._handle, event_id)

    def replay_delivery(self, delivery_id: int) -> None:
        """Runs the event's handler with this delivery's body; the event's own stays."""
        _native.knocker_replay_delivery(self._handle, delivery_id)

    def prune_events(
        self,
        *,
        older_than: int,
        statuses: Sequence[str] | None = None,
        limit: int | None = None,
        dry_run: bool = False,
    ) -> rows.PruneEventsResult:
        """Removes handled and ignored events received before `older_than`, oldest first."""
        members = _prune(older_than, limit, dry_run) | {
            "statuses_json": texts_json("statuses", statuses)
        }
        found = _native.knocker_prune_events(self._handle, members)
        return rows.Kind(rows.PruneEventsResult).of(found[0])

    def prune_orphan_deliveries(
        self, *, older_than: int, limit: int | None = None, dry_run: bool = False
    ) -> rows.PruneDeliveriesResult:
        """Removes rejected receipts from before `older_than`, oldest first."""
        found = _native.knocker_prune_orphan_deliveries(
            self._handle, _prune(older_than, limit, dry_run)
        )
        return rows.Kind(rows.PruneDeliveriesResult).of(found[0])
