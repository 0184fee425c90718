"""The handle: endpoints, receipts, handlers, operators. Each method is one call of
knocker.h with Python's manners.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from . import _native, retention, rows
from .errors import BY_CODE, Closed, Error, InvalidArgument
from .operators import Operators
from .provider import KeyFunction, Provider, Registered, Registry
from .receiver import Receiver, request_of
from .requests import (
    Body,
    Headers,
    Query,
    ReceiveOptions,
    Request,
    Scheme,
    count,
    milliseconds,
    object_json,
    provider_members,
    texts_json,
)
from .retention import RetentionPolicy
from .sqlite import require_one
from .turns import Turns
from .worker import Handler, OnError, Worker, WorkerOptions, inside

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .requests import EndpointOptions


class Endpoint:
    """One endpoint of a handle: `handle` registers its handlers, `receive` takes its requests."""

    def __init__(self, inbox: Inbox, name: str) -> None:
        self._inbox = inbox
        self.name = name

    def __repr__(self) -> str:
        return f"<knocker.Endpoint {self.name!r}>"

    def handle(self, event_type: str | None = None) -> Callable[[Handler], Handler]:
        """Registers the decorated function for this event type, or for all that have
        none of their own.
        """
        return self._inbox.handle(self.name, event_type)

    def receive(
        self,
        body: Body = None,
        headers: Headers = None,
        query: Query = None,
        **options: Unpack[ReceiveOptions],
    ) -> rows.IngestResult:
        """As `Inbox.receive`, for this endpoint."""
        return self._inbox.receive(self.name, body, headers, query, **options)

    async def receive_async(
        self,
        body: Body = None,
        headers: Headers = None,
        query: Query = None,
        **options: Unpack[ReceiveOptions],
    ) -> rows.IngestResult:
        """As `Inbox.receive_async`, for this endpoint."""
        return await self._inbox.receive_async(
            self.name, body, headers, query, **options
        )


class Inbox(Operators, Receiver):
    """An open file; made by `knocker.open`. It may be shared between threads."""

    def __init__(
        self, options: dict[str, Any], queue_name: str, clock: float | None
    ) -> None:
        require_one()
        self._capsule = _native.knocker_open(options)
        self._queue_name = queue_name
        self._clock = clock
        self._registry = Registry()
        self._handlers: dict[tuple[str, str | None], Handler] = {}
        self._workers: dict[str, Worker] = {}
        self._lock = threading.Lock()
        self._turns = Turns(self.receive_many)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the handle. Stop its workers first; closing twice is fine."""
        handle = self._handle
        for worker in list(self._workers.values()):
            worker.handle_closes()
        self._turns.close()
        with suppress(Closed):
            _native.close_handle(handle)

    @property
    def _handle(self) -> _native.Handle:
        """The handle for a call from outside of its handlers."""
        for inbox, tx in inside.get():
            if inbox is self and tx.active:
                raise InvalidArgument(
                    "called on the handle from inside its own handler: use tx"
                )
        return self._capsule

    @property
    def queue_name(self) -> str:
        """The queue where events go and workers look unless told otherwise."""
        return self._queue_name

    def set_clock(self, seconds: float | None) -> None:
        """For tests: this handle's clock stands at `seconds`; None returns to the system's."""
        _native.knocker_clock_set(self._capsule, milliseconds("seconds", seconds))
        self._clock = seconds

    # -- endpoints

    def endpoint(
        self,
        name: str,
        path: str | None = None,
        provider: str | Scheme | Provider | None = None,
        secrets: Sequence[str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Endpoint:
        """`add_endpoint`, and an object to register handlers and receive with."""
        self.add_endpoint(name, path, provider, secrets, provider_options, **options)
        return Endpoint(self, name)

    def add_endpoint(
        self,
        name: str,
        path: str | None = None,
        provider: str | Scheme | Provider | None = None,
        secrets: Sequence[str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        *,
        scheme: Scheme | None = None,
        external: bool = False,
        enabled: bool = True,
        queue_name: str | None = None,
        max_attempts: int | None = None,
        backoff_base_s: float | None = None,
        backoff_cap_s: float | None = None,
        delivery_key: KeyFunction | None = None,
        event_key: KeyFunction | None = None,
    ) -> int:
        """Creates or updates the endpoint of this name and returns its id.

        Without a provider nothing is verified.
        """
        members: dict[str, Any] = {
            "name": name,
            "path": path,
            "queue_name": queue_name,
            "disabled": int(not enabled),
            "max_attempts": count("max_attempts", max_attempts),
            "backoff_base_ms": milliseconds("backoff_base_s", backoff_base_s),
            "backoff_cap_ms": milliseconds("backoff_cap_s", backoff_cap_s),
        }
        registered = None
        if isinstance(provider, Provider):
            registered = Registered(provider, secrets, provider_options)
            members |= {"provider": provider.name, "external": 1}
        else:
            if isinstance(provider, Mapping):
                scheme, provider = provider, "custom"
            members |= {
                **provider_members(provider),
                "scheme_json": object_json("scheme", scheme),
                "secrets_json": texts_json("secrets", secrets),
                "options_json": object_json("provider_options", provider_options),
                "external": int(external),
            }
        with self._lock:
            number = _native.knocker_endpoint_add(self._handle, members)
            self._registry.put(
                name,
                registered,
                provider_delivery_id=delivery_key,
                provider_event_id=event_key,
            )
        return number

    def provider_versions(self) -> dict[str, str]:
        """The curated built-in providers and their versions."""
        rows = _native.knocker_providers()
        return {row["name"]: row["version"] for row in rows if row["curated"]}

    # -- receiving

    def _receive(self, members: dict[str, Any]) -> list[dict[str, Any]]:
        return _native.knocker_receive(self._handle, members)

    def _ingest(self, members: dict[str, Any]) -> list[dict[str, Any]]:
        return _native.knocker_ingest(self._handle, members)

    def receive_many(
        self, requests: Iterable[Request]
    ) -> list[rows.IngestResult | Exception]:
        """Receives 1 to 1000 requests in one commit.

        In place of a bad one stands its error, not raised.
        """
        results: list[rows.IngestResult | Exception] = []
        good: dict[int, dict[str, Any]] = {}
        for request in requests:
            try:
                members = self._registry.members(request)
                _native.check_request(members)
                good[len(results)] = members
                results.append(_PENDING)
            except Exception as error:  # noqa: BLE001 - it is this request's alone
                results.append(error)
        if good or not results:
            received = _native.knocker_receive_many(self._handle, list(good.values()))
            for index, row in zip(good, received):
                code, text = row.pop("error_code"), row.pop("error")
                results[index] = (
                    BY_CODE[code](text) if code else rows.one(rows.IngestResult, [row])
                )
        return results

    async def receive_async(
        self,
        endpoint: str,
        body: Body = None,
        headers: Headers = None,
        query: Query = None,
        **options: Unpack[ReceiveOptions],
    ) -> rows.IngestResult:
        """As `receive`; what arrives in one turn of the event loop is received in one
        commit, on another thread.

        Cancelled in that very turn it is not received; later it may have been.
        """
        _ = self._handle
        request = request_of(endpoint, body, headers, query, options)
        return await self._turns.receive(request)

    # -- handlers and workers

    def handle(
        self, endpoint: str | Endpoint, event_type: str | None = None
    ) -> Callable[[Handler], Handler]:
        """Registers the decorated function (event, tx) for an endpoint's events of this
        type, or for all others.
        """

        def register(handler: Handler) -> Handler:
            self.add_handler(endpoint, handler, event_type)
            return handler

        _check_type(event_type)
        return register

    def add_handler(
        self, endpoint: str | Endpoint, handler: Handler, event_type: str | None = None
    ) -> None:
        """Registers a function (event, tx); one registered before for the same is replaced."""
        _check_type(event_type)
        if not callable(handler):
            raise InvalidArgument(
                f"handler must be a function, not {type(handler).__name__}"
            )
        name = endpoint.name if isinstance(endpoint, Endpoint) else endpoint
        if not isinstance(name, str):
            raise InvalidArgument(f"endpoint must be a name, not {type(name).__name__}")
        self._handlers[name, event_type] = handler

    async def run_worker(
        self,
        worker_id: str | None = None,
        *,
        stop_event: asyncio.Event | None = None,
        on_error: OnError | None = None,
        max_jobs: int | None = None,
        **options: Unpack[WorkerOptions],
    ) -> int:
        """Handles events, on a thread of its own, and returns how many.

        It ends when `stop_event` is set or `max_jobs` were claimed. Before it stops, also
        when cancelled, it finishes the handler in hand and the jobs it has claimed.
        """
        most = count("max_jobs", max_jobs) or None
        worker = self._worker(worker_id, options)
        self._workers[worker.worker_id] = worker
        return await worker.run_in_thread(stop_event, on_error, most)

    def run_worker_once(
        self,
        worker_id: str | None = None,
        **options: Unpack[WorkerOptions],
    ) -> int | None:
        """Handles at most one event, and returns its id."""
        return next(self._worker(worker_id, options).run_due(None, 1), None)

    def drain(
        self,
        worker_id: str | None = None,
        *,
        max_jobs: int | None = None,
        **options: Unpack[WorkerOptions],
    ) -> list[int]:
        """For tests: handles what is due, until nothing is; returns the events' ids."""
        most = count("max_jobs", max_jobs) or None
        return list(self._worker(worker_id, options).run_due(most))

    async def run_retention(
        self, policy: RetentionPolicy, *, stop_event: asyncio.Event | None = None
    ) -> None:
        """Prunes by the policy until `stop_event` is set.

        Many processes may run it on one file: each interval is pruned once.
        """
        stop = stop_event or asyncio.Event()
        await retention.run(self._handle, self._now, policy, stop)

    def _now(self) -> float:
        return time.time() if self._clock is None else self._clock

    def worker_states(self) -> list[rows.WorkerState]:
        """The workers that this handle has run, as they are now."""
        return [worker.state() for worker in list(self._workers.values())]

    def _worker(self, worker_id: str | None, options: WorkerOptions) -> Worker:
        return Worker(
            self, self._handle, self._registry, self._handlers, worker_id, **options
        )


_PENDING = Error("not received yet")


def _check_type(event_type: object) -> None:
    if event_type is not None and not isinstance(event_type, str):
        raise InvalidArgument(
            f"event_type must be a text, not {type(event_type).__name__}"
        )


def open(
    path: str | bytes | os.PathLike[str],
    *,
    queue_name: str = "knocker.events",
    visibility_timeout_s: float = 60,
    max_attempts: int = 3,
    max_readers: int = 8,
    synchronous: Literal["full", "normal"] = "full",
    busy_timeout_ms: int = 2500,
    max_body_bytes: int = 5 * 1024 * 1024,
    init_sql: str | None = None,
    backoff_base_s: float = 10,
    backoff_cap_s: float = 3600,
    orphan_bytes: int | None = None,
    orphan_rows: int | None = None,
    settle_full: bool = False,
    existing: bool = False,
    clock: float | None = None,
    seed: int | None = None,
) -> Inbox:
    """Opens a file, and creates it unless it must be `existing`.

    `max_body_bytes=0` is no limit; `clock` and `seed` are for tests.
    """
    levels = {"full": _native.KNOCKER_SYNC_FULL, "normal": _native.KNOCKER_SYNC_NORMAL}
    if synchronous not in levels:
        raise InvalidArgument(f"synchronous is {synchronous!r}, not 'full' or 'normal'")
    if isinstance(max_body_bytes, int) and max_body_bytes < 0:
        raise InvalidArgument(f"max_body_bytes is {max_body_bytes}")
    options = {
        "path": os.fspath(path),
        "queue_name": queue_name,
        "init_sql": init_sql,
        "visibility_ms": milliseconds("visibility_timeout_s", visibility_timeout_s),
        "max_attempts": count("max_attempts", max_attempts),
        "backoff_base_ms": milliseconds("backoff_base_s", backoff_base_s),
        "backoff_cap_ms": milliseconds("backoff_cap_s", backoff_cap_s),
        "max_readers": count("max_readers", max_readers),
        "busy_timeout_ms": count("busy_timeout_ms", busy_timeout_ms),
        "max_body_bytes": max_body_bytes or -1,
        "synchronous": levels[synchronous],
        "settle_full": int(settle_full),
        "orphan_bytes": count("orphan_bytes", orphan_bytes),
        "orphan_rows": count("orphan_rows", orphan_rows),
        "thread_bound": 1,
        "existing": int(existing),
        "clock_ms": milliseconds("clock", clock),
        "seed": count("seed", seed),
    }
    return Inbox(options, queue_name, clock)
