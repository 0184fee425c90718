"""What the interpreter asks of a face of Knocker: a `Door`, filled in by run_sql.py and bindings.

Knows nothing of scenarios, and of Knocker only what the format's page names.
"""

from __future__ import annotations

import abc
import re
import sqlite3
from collections.abc import Callable
from typing import Any

Words = dict[str, Any]
Rows = list[Words]
START_S = 1700000000
QUERY = re.compile(r"^\s*(select|with|values)\b|\breturning\b", re.IGNORECASE)


class DoorError(Exception):
    """An operation failed, as the door tells it: an error name and the face's message."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Tx(abc.ABC):
    """What a script does on the handle that runs it. Each method raises DoorError."""

    @abc.abstractmethod
    def event(self) -> Words:
        """The event as the handler was given it."""

    @abc.abstractmethod
    def sql(self, text: str, values: list[Any]) -> Rows: ...

    @abc.abstractmethod
    def receive(self, words: Words) -> Words: ...

    @abc.abstractmethod
    def ingest(self, words: Words) -> Words: ...

    @abc.abstractmethod
    def extend(self, seconds: int) -> None: ...


Script = Callable[[Tx], Words | None]
"""Plays a script within a handler; gives its ending, or None when the handler is to return."""


class Door(abc.ABC):
    """One face of Knocker on one fresh file. Each method raises DoorError; `on` is a handle's name.

    Words come with their values put in: bytes are bytes, names are what they were bound to. Rows go
    back as dicts of the names in README.md; `headers` and `query` as dicts. The clock is `now_s`;
    `clock` is called when it moved.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.now_s = START_S
        self._application: sqlite3.Connection | None = None

    def sql(self, text: str, values: list[Any]) -> Rows:
        """A statement of the application, on a plain connection of its own."""
        if self._application is None:
            self._application = sqlite3.connect(self.path, isolation_level=None, timeout=2.5)
        try:
            return rows_of(self._application.execute(text, values), text)
        except sqlite3.Error as error:
            raise DoorError("sql", str(error)) from error

    def end(self) -> None:
        """Frees everything, whatever state it is in."""
        if self._application is not None:
            self._application.close()

    @abc.abstractmethod
    def clock(self) -> None: ...

    @abc.abstractmethod
    def open(self, on: str, options: Words) -> None: ...

    @abc.abstractmethod
    def close(self, on: str) -> None: ...

    @abc.abstractmethod
    def endpoint(self, on: str, words: Words) -> None: ...

    @abc.abstractmethod
    def receive(self, on: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def receive_many(self, on: str, many: Rows) -> Rows: ...

    @abc.abstractmethod
    def ingest(self, on: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def handle(self, on: str, endpoint: str, event_type: str | None, script: Script) -> None: ...

    @abc.abstractmethod
    def work(self, on: str, words: Words) -> list[int]: ...

    @abc.abstractmethod
    def get(self, on: str, kind: str, row_id: int) -> Words: ...

    @abc.abstractmethod
    def list(self, on: str, kind: str, filter: Words) -> Rows: ...

    @abc.abstractmethod
    def act(self, on: str, verb: str, target: Any) -> None: ...

    @abc.abstractmethod
    def why(self, on: str, event_id: int) -> Words: ...

    @abc.abstractmethod
    def stats(self, on: str) -> Rows: ...

    @abc.abstractmethod
    def reverify(self, on: str, words: Words) -> Rows: ...

    @abc.abstractmethod
    def prune(self, on: str, kind: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def verify(self, on: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def diagnose(self, on: str, words: Words) -> Rows: ...

    @abc.abstractmethod
    def sign(self, on: str, words: Words) -> Words: ...


def rows_of(cursor: sqlite3.Cursor, text: str) -> Rows:
    """A statement's rows as the format has them: none unless the text is a query's."""
    if not QUERY.search(text) or cursor.description is None:
        return []
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]
