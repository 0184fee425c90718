"""A door of another language: a program that is asked in lines of JSON, and answers in them.

Owns that conversation (LINES.md). Knows nothing of scenarios, and of Knocker only what `Door` says.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import play
from door import Door, DoorError, Rows, Script, Tx, Words

EXACT = 2**53
"""Integers beyond this travel as text: a reader of JSON may make a double of them."""


def put(value: Any) -> Any:
    """A value as it travels."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and abs(value) > EXACT:
        return {"int": str(value)}
    if isinstance(value, dict):
        return {name: put(one) for name, one in value.items()}
    if isinstance(value, list):
        return [put(one) for one in value]
    return value


def taken(value: Any) -> Any:
    """A value as it was before it travelled."""
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"], validate=True)
        if set(value) == {"int"}:
            return int(value["int"])
        return {name: taken(one) for name, one in value.items()}
    if isinstance(value, list):
        return [taken(one) for one in value]
    return value


class Program:
    """The other language's process, which plays one file after another."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process: subprocess.Popen[str] | None = None

    def say(self, line: Words) -> None:
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
            )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(put(line)) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Words:
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command[0]} ended with {self.stop()} and no answer")
        heard = taken(json.loads(line))
        assert isinstance(heard, dict)
        return heard

    def stop(self) -> int:
        """Ends the process by closing its input; what it returned."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        assert process.stdin is not None
        process.stdin.close()
        return process.wait(30)


class LinesTx(Tx):
    """`number` tells nested handlers apart, the outermost is 0."""

    def __init__(self, door: LinesDoor, number: int) -> None:
        self._door = door
        self._number = number

    def _ask(self, do: str, **words: Any) -> Any:
        return self._door.ask(do, tx=self._number, **words)

    def event(self) -> Words:
        return self._ask("tx_event")

    def sql(self, text: str, values: list[Any]) -> Rows:
        return self._ask("tx_sql", text=text, values=values, rows=bool(play.QUERY.search(text)))

    def receive(self, words: Words) -> Words:
        return self._ask("tx_receive", words=words)

    def ingest(self, words: Words) -> Words:
        return self._ask("tx_ingest", words=words)

    def extend(self, seconds: int) -> None:
        self._ask("tx_extend", seconds=seconds)


class LinesDoor(Door):
    """Asks a program. `program` is a class member: see `door_of`."""

    program: Program

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.scripts: list[Script] = []
        self.running = 0
        self.ask("begin", path=path)

    def ask(self, do: str, **words: Any) -> Any:
        """Says one line and hears its answer; between the two, handlers run."""
        self.program.say({"do": do, "now": self.now_s, **words})
        while True:
            heard = self.program.hear()
            if "run" not in heard:
                return self._answer(heard)
            self._run(self.scripts[heard["run"]])

    def _answer(self, heard: Words) -> Any:
        if "fails" in heard:
            raise DoorError(heard["fails"], heard["text"])
        if "gives" not in heard:
            raise RuntimeError(f"the program broke: {heard.get('broke', heard)}")
        return heard["gives"]

    def _run(self, script: Script) -> None:
        """Plays a script inside the program's handler, and then says how that is to end."""
        ending: Words = {"raise": "the script failed"}
        self.running += 1
        try:
            ending = script(LinesTx(self, self.running - 1)) or {}
        except play.Mismatch:
            pass  # the player keeps it, and fails the file when the work is over
        except Exception:
            self.program.stop()  # it waits inside a handler, and nobody will tell it how to end
            raise
        finally:
            self.running -= 1
        self.program.say({"do": "return", "now": self.now_s, "ending": ending})

    def end(self) -> None:
        try:
            self.ask("end")
        except (RuntimeError, OSError, ValueError):
            self.program.stop()
        super().end()

    def clock(self) -> None:
        self.ask("clock")

    def open(self, on: str, options: Words) -> None:
        self.ask("open", on=on, words=options)

    def close(self, on: str) -> None:
        self.ask("close", on=on)

    def endpoint(self, on: str, words: Words) -> None:
        self.ask("endpoint", on=on, words=words)

    def receive(self, on: str, words: Words) -> Words:
        return self.ask("receive", on=on, words=words)

    def receive_many(self, on: str, many: Rows) -> Rows:
        return self.ask("receive_many", on=on, many=many)

    def ingest(self, on: str, words: Words) -> Words:
        return self.ask("ingest", on=on, words=words)

    def handle(self, on: str, endpoint: str, event_type: str | None, script: Script) -> None:
        self.scripts.append(script)
        number = len(self.scripts) - 1
        self.ask("handle", on=on, endpoint=endpoint, event_type=event_type, run=number)

    def work(self, on: str, words: Words) -> list[int]:
        return self.ask("work", on=on, words=words)

    def get(self, on: str, kind: str, row_id: int) -> Words:
        return self.ask("get", on=on, kind=kind, id=row_id)

    def list(self, on: str, kind: str, filter: Words) -> Rows:
        return self.ask("list", on=on, kind=kind, words=filter)

    def act(self, on: str, verb: str, target: Any) -> None:
        self.ask("act", on=on, verb=verb, target=target)

    def why(self, on: str, event_id: int) -> Words:
        return self.ask("why", on=on, id=event_id)

    def stats(self, on: str) -> Rows:
        return self.ask("stats", on=on)

    def reverify(self, on: str, words: Words) -> Rows:
        return self.ask("reverify", on=on, words=words)

    def prune(self, on: str, kind: str, words: Words) -> Words:
        return self.ask("prune", on=on, kind=kind, words=words)

    def verify(self, on: str, words: Words) -> Words:
        return self.ask("verify", on=on, words=words)

    def diagnose(self, on: str, words: Words) -> Rows:
        return self.ask("diagnose", on=on, words=words)

    def sign(self, on: str, words: Words) -> Words:
        return self.ask("sign", on=on, words=words)


def door_of(command: list[str]) -> type[LinesDoor]:
    """The door whose program is `command`."""
    return type("ProgramDoor", (LinesDoor,), {"program": Program(command)})


def run(name: str, command: list[str], arguments: list[str]) -> int:
    """Plays the suite at the door; 1 also when its program did not end well."""
    door = door_of(command)
    try:
        wrong = play.main(name, door, arguments)
    finally:
        ended = door.program.stop()
    if ended != 0:
        print(f"{name}: its program ended with {ended}")
    return 1 if wrong or ended else 0


def split(arguments: list[str]) -> tuple[str, list[str], list[str]]:
    """NAME [FILES...] -- COMMAND..., taken apart."""
    if len(arguments) < 3 or "--" not in arguments[1:]:
        sys.exit(f"usage: {Path(__file__).name} NAME [FILE|FOLDER...] -- COMMAND...")
    at = arguments.index("--")
    return arguments[0], arguments[1:at], arguments[at + 1 :]


if __name__ == "__main__":
    given_name, given_files, given_command = split(sys.argv[1:])
    sys.exit(run(given_name, given_command, given_files))
