"""The interpreter of the conformance format (README.md): plays files at a door and reports.

Owns steps, scripts and the report. Knows nothing of Knocker: whatever a step does it does through a
`Door`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check
from door import QUERY, Door, DoorError, Rows, Script, Tx, Words, rows_of
from names import Mismatch, Names, show

__all__ = ["QUERY", "Door", "DoorError", "Rows", "Script", "Tx", "Words", "main", "rows_of"]


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

    def _do_act(self, words: Words, on: str, label: str) -> Words | Rows:
        ((verb, target),) = words.items()
        if verb == "reverify":
            return self.door.reverify(on, target)
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
    except Exception as error:  # noqa: BLE001
        return f"the door broke with {type(error).__name__}: {error}"
    return None


def _files(given: Path) -> list[Path]:
    return sorted(given.glob("*.json")) if given.is_dir() else [given]


def main(name: str, door_class: type[Door], arguments: list[str]) -> int:
    """Plays self/, then the scenarios or what is named; prints the door's line. 0: all well."""
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
