"""The interpreter of the conformance format (README.md) and the door that a face of Knocker fills in.

Owns values, names, comparing, scripts and the report. Knows nothing of Knocker: whatever a step does
it does through a `Door`, whose subclasses are run_sql.py here and bindings/python/conformance.py.
"""

from __future__ import annotations

import abc
import argparse
import base64
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check

Words = dict[str, Any]
Rows = list[Words]
START_S = 1700000000
NAME = re.compile(r"^\$[a-z0-9_]+$")
QUERY = re.compile(r"^\s*(select|with|values)\b|\breturning\b", re.IGNORECASE)


class DoorError(Exception):
    """An operation failed, as the door tells it: an error name of the format and the face's message."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Mismatch(Exception):
    """The file fails; the text says where and why."""


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
        """A statement of the application, on a plain connection that no face of Knocker has touched."""
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
    def prune(self, on: str, kind: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def verify(self, on: str, words: Words) -> Words: ...

    @abc.abstractmethod
    def sign(self, on: str, words: Words) -> Words: ...


def rows_of(cursor: sqlite3.Cursor, text: str) -> Rows:
    """A statement's rows as the format has them: none unless the text is a query's."""
    if not QUERY.search(text) or cursor.description is None:
        return []
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def value_of(given: Any) -> Any:
    """A value word as the value it stands for; whatever else as it is."""
    if isinstance(given, dict):
        if set(given) == {"base64"}:
            return base64.b64decode(given["base64"], validate=True)
        if set(given) == {"repeat", "times"}:
            return given["repeat"] * given["times"]
        if set(given) == {"int"}:
            return int(given["int"])
    return given


def is_name(text: Any) -> bool:
    return isinstance(text, str) and NAME.match(text) is not None


def show(value: Any) -> str:
    """For messages: JSON, cut to a readable length."""
    text = json.dumps(
        value, ensure_ascii=False, default=lambda odd: {"base64": base64.b64encode(odd).decode()}
    )
    return text if len(text) <= 400 else text[:397] + "..."


class Names:
    """What the names of a file are bound to, and how often each was met."""

    def __init__(self) -> None:
        self.values: Words = {}
        self.met: dict[str, int] = {}

    def put_in(self, given: Any) -> Any:
        """`given` with each name and each value word replaced by its value."""
        if is_name(given):
            if given not in self.values:
                raise Mismatch(f"{given} is not bound")
            self.met[given] += 1
            return self.values[given]
        value = value_of(given)
        if isinstance(value, dict):
            return {name: self.put_in(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.put_in(element) for element in value]
        return value

    def match(self, expected: Any, got: Any, at: str) -> None:
        """Raises Mismatch unless `got` is what was expected."""
        if is_name(expected):
            self._match_name(expected, got, at)
        elif (
            isinstance(expected, dict)
            and len(expected) == 1
            and set(expected) <= {"between", "contains", "any"}
        ):
            self._match_range(expected, got, at)
        else:
            expected = value_of(expected)
            if isinstance(expected, dict):
                self._match_members(expected, got, at)
            elif isinstance(expected, list):
                self._match_elements(expected, got, at)
            elif not _same(expected, got):
                raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")

    def _match_name(self, name: str, got: Any, at: str) -> None:
        self.met[name] = self.met.get(name, 0) + 1
        if name in self.values:
            if not _same(self.values[name], got):
                raise Mismatch(
                    f"{at}: expected {name}, which is {show(self.values[name])}, got {show(got)}"
                )
        elif got is None:
            raise Mismatch(f"{at}: {name} cannot be bound to null")
        else:
            self.values[name] = got

    def _match_range(self, expected: Words, got: Any, at: str) -> None:
        if "any" in expected:
            good = expected["any"] is True and got is not None
        elif "between" in expected:
            low, high = expected["between"]
            good = _is_number(got) and low <= got <= high
        else:
            good = isinstance(got, (str, bytes)) and _bytes(expected["contains"]) in _bytes(got)
        if not good:
            raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")

    def _match_members(self, expected: Words, got: Any, at: str) -> None:
        if expected and not isinstance(got, dict):
            raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")
        for name, member in expected.items():
            if name not in got:
                raise Mismatch(f"{at}: expected a member '{name}', got {show(got)}")
            self.match(member, got[name], f"{at}.{name}")

    def _match_elements(self, expected: list[Any], got: Any, at: str) -> None:
        if not isinstance(got, list) or len(got) != len(expected):
            raise Mismatch(f"{at}: expected a list of {len(expected)}, got {show(got)}")
        for n, element in enumerate(expected):
            self.match(element, got[n], f"{at}[{n}]")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool):
        return isinstance(got, (bool, int)) and got == expected
    if _is_number(expected):
        return _is_number(got) and got == expected
    if isinstance(expected, (str, bytes)):
        return isinstance(got, (str, bytes)) and _bytes(got) == _bytes(expected)
    return expected is None and got is None


class _Handler:
    """The scripts of one `handle` step, and how many of them were played."""

    def __init__(self, words: Words, label: str) -> None:
        self.scripts: list[Rows] | None = words.get("runs")
        self.script: Rows = words.get("script", [])
        self.label = label
        self.played = 0

    def take(self) -> Rows:
        self.played += 1
        if self.scripts is None:
            return self.script
        if self.played > len(self.scripts):
            raise Mismatch(
                f"{self.label}: run {self.played}, but there are {len(self.scripts)} scripts"
            )
        return self.scripts[self.played - 1]

    def unplayed(self) -> bool:
        return self.played == 0 if self.scripts is None else self.played != len(self.scripts)


class Player:
    """Plays one file's steps at a door."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.names = Names()
        self.handlers: list[_Handler] = []
        self.inside: dict[str, Tx] = {}
        self.open: set[str] = set()
        self.known: set[str] = set()
        self.wrong: Mismatch | None = None

    def play(self, steps: Rows) -> None:
        self._steps(steps, "a", "step ")
        for handler in self.handlers:
            if handler.unplayed():
                raise Mismatch(f"{handler.label}: a script of it was not played")
        for name, met in self.names.met.items():
            if met < 2:
                raise Mismatch(f"{name} is met only once")

    def _steps(self, steps: Rows, on: str, label: str) -> Words | None:
        for n, step in enumerate(steps, 1):
            where = f"{label}{n}"
            if "do" not in step:
                if n < len(steps):
                    raise Mismatch(f"{where}: an ending is not the last of its script")
                return self._ending(step)
            try:
                self._step(step, step.get("on", on), f"{where} ({step['do']})")
            except Mismatch as wrong:
                self.wrong = self.wrong or wrong
            if self.wrong is not None:
                raise self.wrong
        return None

    def _ending(self, step: Words) -> Words:
        put_in = self.names.put_in(step)
        assert isinstance(put_in, dict)
        return put_in

    def _step(self, step: Words, on: str, label: str) -> None:
        # A handler's scripts are played later, with names that may not be bound yet.
        given = step.get("with", {})
        try:
            words = given if step["do"] == "handle" else self.names.put_in(given)
        except Mismatch as wrong:
            raise Mismatch(f"{label}: {wrong}") from None
        try:
            got = self._do(step["do"], words, on, label)
        except DoorError as error:
            if "fails" not in step:
                raise Mismatch(
                    f"{label}: expected {show(step['gives'])}, got the error {error}"
                ) from error
            if error.name != step["fails"] or step.get("saying", "") not in error.text:
                saying = f" saying {show(step['saying'])}" if "saying" in step else ""
                raise Mismatch(
                    f"{label}: expected {step['fails']}{saying}, got the error {error}"
                ) from error
            return
        if "fails" in step:
            raise Mismatch(f"{label}: expected the error {step['fails']}, got {show(got)}")
        self.names.match(step["gives"], got, label)

    def _do(self, do: str, words: Words, on: str, label: str) -> Any:
        if do == "clock":
            self.door.now_s = words["set"] if "set" in words else self.door.now_s + words["add"]
            self.door.clock()
            return {}
        if do == "open":
            return self._open(words, on, label)
        if on not in self.known:
            raise Mismatch(f"{label}: no handle '{on}' was opened")
        if on in self.inside:
            return self._do_inside(do, words, self.inside[on], label)
        if do == "act" and "extend" in words:
            raise Mismatch(f"{label}: extend outside a script")
        method: Callable[[Words, str, str], Any] = getattr(self, "_do_" + do, self._do_plain(do))
        return method(words, on, label)

    def _open(self, words: Words, on: str, label: str) -> Words:
        if "close" in words:
            if on not in self.known:
                raise Mismatch(f"{label}: no handle '{on}' was opened")
            self.door.close(on)
            self.open.discard(on)
        elif on in self.open:
            raise Mismatch(f"{label}: the handle '{on}' is open")
        else:
            self.door.open(on, words)
            self.open.add(on)
            self.known.add(on)
        return {}

    def _do_inside(self, do: str, words: Words, tx: Tx, label: str) -> Any:
        if do == "sql":
            return tx.sql(words["text"], words.get("values", []))
        if do == "receive" and "many" not in words:
            return tx.receive(words)
        if do == "ingest":
            return tx.ingest(words)
        if do == "act" and "extend" in words:
            tx.extend(words["extend"])
            return {}
        if do == "get" and "event" in words:
            event = tx.event()
            if event["id"] != words["event"]:
                raise Mismatch(
                    f"{label}: the handler was given the event {event['id']}, not {words['event']}"
                )
            return event
        raise Mismatch(f"{label}: not played on a handle that is in a script")

    def _do_plain(self, do: str) -> Callable[[Words, str, str], Any]:
        """The operations that are a call of the door with the words as they are."""

        def call(words: Words, on: str, label: str) -> Any:
            got = getattr(self.door, do)(on, words)
            return {} if got is None else got

        return call

    def _do_receive(self, words: Words, on: str, label: str) -> Any:
        if "many" in words:
            return self.door.receive_many(on, words["many"])
        return self.door.receive(on, words)

    def _do_handle(self, words: Words, on: str, label: str) -> Words:
        handler = _Handler(words, label)
        self.handlers.append(handler)
        endpoint, event_type = (
            self.names.put_in(words["endpoint"]),
            self.names.put_in(words.get("event_type")),
        )
        self.door.handle(on, endpoint, event_type, lambda tx: self._run(handler, on, tx))
        return {}

    def _run(self, handler: _Handler, on: str, tx: Tx) -> Words | None:
        outer = self.inside.get(on)
        self.inside[on] = tx
        try:
            return self._steps(handler.take(), on, f"{handler.label}, run {handler.played}, step ")
        except Mismatch as wrong:
            self.wrong = self.wrong or wrong
            raise
        finally:
            if outer is None:
                del self.inside[on]
            else:
                self.inside[on] = outer

    def _do_work(self, words: Words, on: str, label: str) -> Words:
        return {"events": self.door.work(on, {"max": 1000, "worker_id": on, **words})}

    def _do_get(self, words: Words, on: str, label: str) -> Words:
        ((kind, row_id),) = words.items()
        return self.door.get(on, kind, row_id)

    def _do_list(self, words: Words, on: str, label: str) -> Rows:
        ((kind, filter),) = words.items()
        return self.door.list(on, kind, filter)

    def _do_act(self, words: Words, on: str, label: str) -> Words:
        ((verb, target),) = words.items()
        self.door.act(on, verb, target)
        return {}

    def _do_why(self, words: Words, on: str, label: str) -> Words:
        return self.door.why(on, words["event"])

    def _do_stats(self, words: Words, on: str, label: str) -> Rows:
        return self.door.stats(on)

    def _do_prune(self, words: Words, on: str, label: str) -> Words:
        ((kind, filter),) = words.items()
        return self.door.prune(on, kind, filter)

    def _do_sql(self, words: Words, on: str, label: str) -> Rows:
        return self.door.sql(words["text"], words.get("values", []))


def play_file(path: Path, door_class: type[Door]) -> str | None:
    """Plays one file on a fresh database; None, or why it fails."""
    try:
        scenario = check.read(path)
        wrong = check.problems(scenario)
        if wrong:
            return wrong[0]
        with tempfile.TemporaryDirectory(prefix="knocker-") as folder:
            door = door_class(str(Path(folder) / "app.db"))
            try:
                Player(door).play(scenario["steps"])
            finally:
                door.end()
    except (Mismatch, ValueError) as error:
        return str(error)
    except Exception as error:  # a door that breaks fails this file; the others are played
        return f"the door broke with {type(error).__name__}: {error}"
    return None


def _files(given: Path) -> list[Path]:
    return sorted(given.glob("*.json")) if given.is_dir() else [given]


def main(name: str, door_class: type[Door], arguments: list[str]) -> int:
    """Plays self/, then the scenarios or what is named; prints the door's line. 0 if all is well."""
    options = argparse.ArgumentParser(
        description=f"Plays the conformance suite at the door {name}."
    )
    options.add_argument(
        "files", nargs="*", type=Path, help="files or folders, instead of scenarios/"
    )
    chosen = options.parse_args(arguments)
    broken = [
        path.name
        for path in sorted((check.HERE / "self").glob("*.json"))
        if play_file(path, door_class) is None
    ]
    for passed in broken:
        print(f"{name}: self/{passed} passed, and must fail")
    files = [path for given in chosen.files or [check.HERE / "scenarios"] for path in _files(given)]
    failed = 0
    for path in files:
        wrong = play_file(path, door_class)
        if wrong is not None:
            failed += 1
            print(f"{name}: {path.name}: {wrong}")
    print(f"{name}: {len(files)} played, {len(files) - failed} passed, {failed} failed")
    return 1 if failed or broken or not files else 0


def check_suite() -> int:
    found = check.suite()
    for problem in found:
        print(problem)
    scenarios, own = (
        len(list((check.HERE / folder).glob("*.json"))) for folder in ("scenarios", "self")
    )
    print(
        f"{scenarios} scenarios, {own} files to fail, {len(check.words())} words to cover, "
        f"{len(found)} problems"
    )
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        sys.exit("usage: play.py --check (a door plays the suite: run_sql.py)")
    sys.exit(check_suite())
