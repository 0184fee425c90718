"""Running handlers: a handler's transaction, and the loop that claims and settles.
Outcomes are decided in C.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypedDict

from . import _native, rows
from .errors import (
    Busy,
    Closed,
    Dead,
    Error,
    Ignore,
    InvalidArgument,
    LeaseLost,
    RetryAfter,
    SqlError,
)
from .provider import Registry, log
from .receiver import Receiver
from .requests import texts_json

# The handlers that this thread or task is inside of, as (handle, its tx), outermost first.
inside: contextvars.ContextVar[tuple[tuple[Any, Tx], ...]] = contextvars.ContextVar(
    "knocker_inside", default=()
)
_numbers = itertools.count(1)


class Tx(Receiver):
    """A handler's transaction: what is written through it commits with the event's
    `handled`, or not at all.
    """

    def __init__(self, registry: Registry, work: _native.Work) -> None:
        self._registry = registry
        self._work = work
        self.active = True

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> rows.Changes:
        """Runs one statement; `?` are bound in order."""
        return rows.Changes(*_native.knocker_execute(self._work, sql, parameters))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Runs one statement and returns its rows, as dicts by column."""
        return _native.knocker_query(self._work, sql, parameters)

    def _receive(self, members: dict[str, Any]) -> list[dict[str, Any]]:
        return _native.knocker_work_receive(self._work, members)

    def _ingest(self, members: dict[str, Any]) -> list[dict[str, Any]]:
        return _native.knocker_work_ingest(self._work, members)


Handler = Callable[[rows.Event, Tx], Any]
Handlers = dict[tuple[str, "str | None"], Handler]
OnDead = Callable[[rows.Event, "str | None"], Any]
OnError = Callable[[BaseException], "Awaitable[None] | None"]
Outcome = tuple[int, str | None, int]


class WorkerOptions(TypedDict, total=False):
    """What a worker serves.

    With `missing="leave"` it claims only endpoints that it has a handler for.
    `handler_timeout_s` is refused: Python cannot end a function that runs on a thread.
    """

    queues: Sequence[str] | None
    endpoints: Sequence[str] | None
    missing: Literal["dead", "leave"]
    on_dead: OnDead | None
    handler_timeout_s: None


@contextmanager
def _marked(owner: object, tx: Tx) -> Iterator[None]:
    """Marks that the code within is a handler of this handle."""
    token = inside.set((*inside.get(), (owner, tx)))
    try:
        yield
    finally:
        tx.active = False
        inside.reset(token)


def _text(error: BaseException, prefix: str = "") -> str:
    """What an exception says, as UTF-8 allows it, even if its own __str__ fails."""
    try:
        text = f"{prefix}{error}"
    except Exception:  # noqa: BLE001 - it is the application's code
        text = type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode()


def _describe(error: BaseException) -> str:
    return _text(error, f"{type(error).__name__}: ")


def _outcome(handler: Handler, event: rows.Event, tx: Tx) -> Outcome:
    """What a handler returns or raises is an outcome; only what ends the thread passes through."""
    try:
        returned = handler(event, tx)
    except RetryAfter as asked:
        delay_ms = max(1, round(asked.seconds * 1000))
        return _native.KNOCKER_RETRY_AFTER, str(asked.reason), delay_ms
    except Ignore as asked:
        return _native.KNOCKER_IGNORED, _text(asked), 0
    except Dead as asked:
        return _native.KNOCKER_DEAD, _text(asked), 0
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is its failure
        log.warning("event %d of %r failed", event.id, event.endpoint, exc_info=True)
        return _native.KNOCKER_FAILED, _describe(error), 0
    is_later = (inspect.isawaitable, inspect.isgenerator, inspect.isasyncgen)
    if not any(test(returned) for test in is_later):
        return _native.KNOCKER_HANDLED, None, 0
    if close := getattr(returned, "close", None):
        close()
    kind = type(returned).__name__
    text = f"the handler returned a {kind}: handlers are synchronous"
    return _native.KNOCKER_FAILED, text, 0


class Worker:
    """Claims due jobs and runs their handlers, one at a time."""

    def __init__(
        self,
        owner: object,
        handle: _native.Handle,
        registry: Registry,
        handlers: Handlers,
        worker_id: str | None,
        *,
        queues: Sequence[str] | None = None,
        endpoints: Sequence[str] | None = None,
        missing: Literal["dead", "leave"] = "dead",
        on_dead: OnDead | None = None,
        handler_timeout_s: None = None,
    ) -> None:
        if missing not in ("dead", "leave"):
            raise InvalidArgument(f"missing is {missing!r}, not 'dead' or 'leave'")
        texts_json("endpoints", endpoints)  # checked now, used at each claim
        if handler_timeout_s is not None:
            raise InvalidArgument(
                "handler_timeout_s: Python cannot end a function that runs on a thread: "
                "give a timeout to what the handler calls; a handler that hangs has its "
                "transaction ended and its event handled by another worker after the lease"
            )
        self.owner = owner
        self.handle = handle
        self.registry = registry
        self.handlers = handlers
        self.worker_id = (
            worker_id or f"{socket.gethostname()}-{os.getpid()}-{next(_numbers)}"
        )
        self.queues_json = texts_json("queues", queues)
        self.endpoints = endpoints
        self.missing = missing
        self.on_dead = on_dead
        self.running = False
        self.stopping = threading.Event()
        self.closing = False
        self.current_event_id: int | None = None
        self.last_error: str | None = None

    def state(self) -> rows.WorkerState:
        return rows.WorkerState(
            self.worker_id, self.running, self.current_event_id, self.last_error
        )

    def handle_closes(self) -> None:
        """The handle is about to be closed: that ends this worker, and is no failure of it."""
        self.closing = True
        self.stopping.set()

    # -- one job

    def _serves(self, most: int) -> dict[str, Any] | None:
        """What to claim, and to wait for; None while there is nothing that it could serve."""
        endpoints = self.endpoints
        if self.missing == "leave":
            able = {name for name, _ in list(self.handlers)}
            endpoints = sorted(able if endpoints is None else able & set(endpoints))
        if endpoints is not None and not endpoints:
            return None
        return {
            "worker_id": self.worker_id,
            "queues_json": self.queues_json,
            "endpoints_json": texts_json("endpoints", endpoints),
            "count": most,
        }

    def _claim(self, most: int) -> list[dict[str, Any]]:
        serves = self._serves(most)
        return _native.knocker_claim(self.handle, serves) if serves else []

    def _wait(self) -> None:
        if serves := self._serves(10):
            _native.knocker_wait(self.handle, serves, 1000)
        else:
            self.stopping.wait(1)

    def _run_jobs(self, jobs: list[dict[str, Any]]) -> Iterator[int]:
        """Runs claimed jobs; gives the events whose outcome was recorded. When it is torn
        away, the rest is given back.
        """
        try:
            while jobs:
                job = jobs.pop(0)
                if self._run_job(job):
                    yield job["event_id"]
        finally:
            for job in jobs:
                with suppress(Error):
                    _native.knocker_release(self.handle, job["job_id"], job["claim"])

    def _run_job(self, job: dict[str, Any]) -> bool:
        if job["died"]:
            self._tell_death(job["event_id"])
            return False
        work = _native.knocker_work_begin(self.handle, job["job_id"], job["claim"])
        if work is None:
            return False
        self.current_event_id = job["event_id"]
        try:
            found = _native.knocker_work_event(work)
            event = rows.one(rows.Event, found, _work=work)
            handler = self.handlers.get(
                (event.endpoint, event.event_type)
            ) or self.handlers.get((event.endpoint, None))
            outcome: Outcome = (_native.KNOCKER_NO_HANDLER, None, 0)
            if handler:
                tx = Tx(self.registry, work)
                with _marked(self.owner, tx):
                    outcome = _outcome(handler, event, tx)
        except BaseException:
            _native.abandon(work)
            raise
        finally:
            self.current_event_id = None
        return self._settle(work, event, outcome)

    def _settle(self, work: _native.Work, event: rows.Event, outcome: Outcome) -> bool:
        """Records an outcome.

        A lost lease or a busy file costs this job only: it comes due again.
        """
        if outcome[0] == _native.KNOCKER_FAILED:
            self.last_error = outcome[1]
        try:
            status = _native.settle(work, *outcome)[0]["status"]
        except (LeaseLost, Busy, SqlError) as error:
            log.warning("event %d of %r: %s", event.id, event.endpoint, error)
            self.last_error = str(error)
            if not isinstance(error, SqlError):
                return False
            # What the handler wrote could not be committed, and that was recorded as its failure.
            status = self._event(event.id).status
        if status == "dead":
            self._tell_death(event.id)
        return True

    def _tell_death(self, event_id: int) -> None:
        if self.on_dead:
            dead = self._event(event_id)
            self.on_dead(dead, dead.last_error)

    def _event(self, event_id: int) -> rows.Event:
        found = _native.knocker_get(self.handle, _native.KNOCKER_EVENT, event_id)
        return rows.one(rows.Event, found)

    # -- many jobs

    def run_due(self, max_jobs: int | None, batch: int = 10) -> Iterator[int]:
        """Runs what is due until nothing is, or that many were claimed."""
        left = max_jobs or sys.maxsize
        while left and (jobs := self._claim(min(batch, left))):
            left -= len(jobs)
            yield from self._run_jobs(jobs)

    def _loop(self, max_jobs: int | None) -> int:
        left = max_jobs or sys.maxsize
        recorded = 0
        while left and not self.stopping.is_set():
            jobs = self._claim(min(10, left))
            if not jobs:
                self._wait()
            left -= len(jobs)
            recorded += sum(1 for _ in self._run_jobs(jobs))
        return recorded

    async def run_in_thread(
        self,
        stop_event: asyncio.Event | None,
        on_error: OnError | None,
        max_jobs: int | None,
    ) -> int:
        """Runs the loop on a thread of its own, which never sits in a shared pool."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int | BaseException] = loop.create_future()

        def body() -> None:
            result: int | BaseException
            try:
                result = self._loop(max_jobs)
            except BaseException as error:  # noqa: BLE001 - raised again by the coroutine
                result = error
            self.running = False
            # The event loop may have ended without waiting for us.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, done, result)

        self.running = True
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run,
            args=(body,),
            name=f"knocker {self.worker_id}",
            daemon=True,
        ).start()
        await self._until_stopped(done, stop_event)
        result = done.result()
        if isinstance(result, Closed) and self.closing:
            return 0
        if isinstance(result, BaseException):
            self.last_error = _describe(result)
            if on_error:
                heard = on_error(result)
                if inspect.isawaitable(heard):
                    await heard
            raise result
        return result

    async def _until_stopped(
        self, done: asyncio.Future[Any], stop_event: asyncio.Event | None
    ) -> None:
        stop = asyncio.ensure_future(
            stop_event.wait() if stop_event else asyncio.Event().wait()
        )
        try:
            await asyncio.wait((done, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            self.stopping.set()
            while not done.done():  # one wake may come just before the worker sleeps
                with suppress(Error):
                    _native.knocker_wake(self.handle)
                await asyncio.wait((done,), timeout=0.02)


def _finish(done: asyncio.Future[Any], result: Any) -> None:
    if not done.done():
        done.set_result(result)
