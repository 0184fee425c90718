"""Receiving from event loops: what arrives in one turn of a loop is one commit, on another
thread.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeAlias
from weakref import WeakKeyDictionary

from .requests import Request
from .rows import IngestResult

Results: TypeAlias = Sequence[IngestResult | Exception]
Waiting: TypeAlias = tuple[Request, "asyncio.Future[IngestResult]"]
MOST = 1000  # of one receive_many


class Turns:
    """The requests of each event loop that wait for the end of its turn."""

    def __init__(self, receive_many: Callable[[list[Request]], Results]) -> None:
        self._receive_many = receive_many
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Waiting]]
        self._waiting = WeakKeyDictionary()

    def receive(self, request: Request) -> asyncio.Future[IngestResult]:
        """Joins the current turn. A request that is cancelled within it is not received."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[IngestResult] = loop.create_future()
        with self._lock:
            waiting = self._waiting.get(loop)
            if waiting is None:
                waiting = self._waiting[loop] = []
                loop.call_soon(self._end, loop)
        waiting.append((request, answer))
        return answer

    def close(self) -> None:
        """Waits for what was handed over."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool:
            pool.shutdown()

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            waiting = [one for one in self._waiting.pop(loop) if not one[1].cancelled()]
            if self._pool is None or self._pid != os.getpid():  # threads do not fork
                self._pool = ThreadPoolExecutor(4, thread_name_prefix="knocker-receive")
                self._pid = os.getpid()
            for start in range(0, len(waiting), MOST):
                self._hand_over(loop, self._pool, waiting[start : start + MOST])

    def _hand_over(
        self,
        loop: asyncio.AbstractEventLoop,
        pool: ThreadPoolExecutor,
        part: list[Waiting],
    ) -> None:
        answers = [answer for _, answer in part]

        def tell(work: Future[Results]) -> None:
            failure = work.exception()
            results = [failure] * len(answers) if failure else work.result()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_answer, answers, results)

        try:
            work = pool.submit(self._receive_many, [request for request, _ in part])
        except RuntimeError as error:  # there is no thread to be had
            _answer(answers, [error] * len(answers))
        else:
            work.add_done_callback(tell)


def _answer(
    answers: list[asyncio.Future[IngestResult]],
    results: Sequence[IngestResult | BaseException],
) -> None:
    """Runs in the event loop. Each caller gets a result or an error object of its own."""
    for answer, result in zip(answers, results):
        if answer.done():
            continue
        if isinstance(result, BaseException):
            answer.set_exception(copy.copy(result))
        else:
            answer.set_result(result)
