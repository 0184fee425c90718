"""The operators' half of a handle: looking at rows, and acting on events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _native, rows
from .requests import (
    Page,
    Scheme,
    choice,
    count,
    object_json,
    page_members,
    provider_members,
    texts_json,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Operators:
    """What `Inbox` inherits: each method is one call on its handle."""

    @property
    def _handle(self) -> _native.Handle:
        raise NotImplementedError

    # -- looking

    def get_event(self, event_id: int) -> rows.Event:
        found = _native.knocker_get(self._handle, _native.KNOCKER_EVENT, event_id)
        return rows.one(rows.Event, found)

    def get_delivery(self, delivery_id: int) -> rows.Delivery:
        found = _native.knocker_get(self._handle, _native.KNOCKER_DELIVERY, delivery_id)
        return rows.one(rows.Delivery, found)

    def _list(self, kind: int, page: Page, **members: Any) -> list[dict[str, Any]]:
        members |= {"kind": kind, **page_members(**page)}
        return _native.knocker_list(self._handle, members)

    def list_events(
        self,
        *,
        status: str | None = None,
        endpoint: str | None = None,
        event_type: str | None = None,
        **page: Unpack[Page],
    ) -> list[rows.Event]:
        """Newest first, at most `limit` (100); `before_id` gives the next page."""
        found = self._list(
            _native.KNOCKER_EVENT,
            page,
            status=status,
            endpoint=endpoint,
            event_type=event_type,
        )
        return rows.many(rows.Event, found)

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
        found = self._list(
            _native.KNOCKER_DELIVERY,
            page,
            event_id=count("event_id", event_id),
            endpoint=endpoint,
            event_type=event_type,
            signature_valid=choice(signature_valid),
            orphaned=choice(orphaned),
        )
        return rows.many(rows.Delivery, found)

    def list_attempts(
        self,
        event_id: int | None = None,
        *,
        limit: int | None = None,
        before_id: int | None = None,
    ) -> list[rows.Attempt]:
        """The runs of handlers: of the newest event first, and of each the last first."""
        page: Page = {"limit": limit, "before_id": before_id}
        number = count("event_id", event_id)
        found = self._list(_native.KNOCKER_ATTEMPT, page, event_id=number)
        return rows.many(rows.Attempt, found)

    def list_jobs(
        self, *, endpoint: str | None = None, limit: int | None = None
    ) -> list[rows.Job]:
        """What is queued, as it comes due."""
        found = self._list(_native.KNOCKER_JOB, {"limit": limit}, endpoint=endpoint)
        return rows.many(rows.Job, found)

    def list_prune_audits(
        self, *, kind: str | None = None, **page: Unpack[Page]
    ) -> list[rows.PruneAudit]:
        """What was pruned when, newest first."""
        found = self._list(_native.KNOCKER_AUDIT, page, audit_kind=kind)
        return rows.many(rows.PruneAudit, found)

    def list_endpoints(self, **page: Unpack[Page]) -> list[rows.EndpointRow]:
        """The endpoints in the file, by name."""
        found = self._list(_native.KNOCKER_ENDPOINT, page)
        return rows.many(rows.EndpointRow, found)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A query of the application's own, outside any transaction: it sees what is committed."""
        return _native.knocker_read(self._handle, sql, parameters)

    def why(self, event_id: int) -> rows.Why:
        """Why an event is where it is."""
        return rows.one(rows.Why, _native.knocker_why(self._handle, event_id))

    def diagnose(
        self,
        delivery_id: int,
        *,
        provider: str | Scheme | None = None,
        secrets: Sequence[str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        others: Mapping[str, str | Sequence[str]] | None = None,
    ) -> list[rows.Diagnosis]:
        """What would have made a stored delivery valid when it came, likeliest first.

        What is not given is that of its endpoint. The secrets of all endpoints registered
        here are tried, and `others`. See `knocker.diagnose`.
        """
        found = _native.knocker_diagnose_delivery(
            self._handle,
            delivery_id,
            {
                **provider_members(provider),
                "secrets_json": texts_json("secrets", secrets),
                "options_json": object_json("provider_options", provider_options),
            },
            object_json("others", others),
        )
        return rows.many(rows.Diagnosis, found)

    def stats(self) -> list[rows.Stats]:
        """First all together (its `endpoint` is None), then one an endpoint, by name."""
        return rows.many(rows.Stats, _native.knocker_stats(self._handle))

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

    def reverify(
        self,
        endpoint: str,
        *,
        since: int | None = None,
        limit: int | None = None,
        after_id: int | None = None,
        dry_run: bool = False,
        provider: str | Scheme | None = None,
        secrets: Sequence[str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
    ) -> list[rows.Reverified]:
        """Verifies an endpoint's orphans again, and makes those that pass events.

        After a fix: with today's secrets, as at the time each came, oldest first, at most
        `limit` (100); the last row's `delivery_id` as `after_id` gives the next ones. The last
        three are for an endpoint that is registered in another process.
        """
        by = {
            "endpoint": endpoint,
            "secrets_json": texts_json("secrets", secrets),
            "options_json": object_json("provider_options", provider_options),
            **provider_members(provider),
        }
        found = _native.knocker_reverify(
            self._handle,
            by,
            since or 0,
            count("after_id", after_id),
            count("limit", limit),
            int(dry_run),
        )
        return rows.many(rows.Reverified, found)

    def prune_events(
        self,
        *,
        older_than: int,
        statuses: Sequence[str] | None = None,
        limit: int | None = None,
        dry_run: bool = False,
    ) -> rows.PruneEventsResult:
        """Removes handled and ignored events received before `older_than`, oldest first."""
        members = {
            "older_than_s": older_than,
            "statuses_json": texts_json("statuses", statuses),
            "limit": count("limit", limit),
            "dry_run": int(dry_run),
        }
        found = _native.knocker_prune_events(self._handle, members)
        return rows.one(rows.PruneEventsResult, found)

    def prune_orphan_deliveries(
        self, *, older_than: int, limit: int | None = None, dry_run: bool = False
    ) -> rows.PruneDeliveriesResult:
        """Removes rejected receipts from before `older_than`, oldest first."""
        members = {
            "older_than_s": older_than,
            "limit": count("limit", limit),
            "dry_run": int(dry_run),
        }
        found = _native.knocker_prune_orphan_deliveries(self._handle, members)
        return rows.one(rows.PruneDeliveriesResult, found)
