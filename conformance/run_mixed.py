"""Plays mixed runs over SQL, Python and the programs of other languages.

    run_mixed.py [--seed S] [--rounds R] [FILE...] [-- NAME COMMAND... [-- NAME COMMAND...]]
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import lines
import mixed
import run_sql

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bindings" / "python"))
import conformance as python_door


def programs(arguments: list[str]) -> tuple[list[str], list[list[str]]]:
    """What stands before the first `--`, and the name and command behind each."""
    parts: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "--":
            parts.append([])
        else:
            parts[-1].append(argument)
    return parts[0], parts[1:]


def run(arguments: list[str]) -> int:
    own, others = programs(arguments)
    doors: mixed.Doors = {"sql": run_sql.SqlDoor, "python": python_door.Door}
    started: list[lines.Program] = []
    for name, *command in others:
        door = lines.door_of(command)
        started.append(door.program)
        doors[name] = door
    try:
        wrong = mixed.main(doors, own)
    finally:
        ended = [program.stop() for program in started]
    return 1 if wrong or any(ended) else 0


if __name__ == "__main__":
    logging.getLogger("knocker").disabled = True  # handlers fail on purpose
    sys.exit(run(sys.argv[1:]))
