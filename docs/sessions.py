"""How blocks of each language are run: a Python interpreter, a sqlite3 shell, bash, a C compiler. For run_blocks.py."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import re
import selectors
import subprocess
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

SECONDS = 60
CC = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
MARK = "----- end of block -----"
SQL_ERROR = re.compile(r"^(?:(?:Parse|Runtime) error|Error)\b", re.MULTILINE)
PRELUDE = """#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "knocker.h"

int main(void)
{
"""


class Failed(Exception):
    """A block did not do what it should; the text is what it said."""


def environment(build: Path) -> dict[str, str]:
    """Where programs, headers and libraries of the build are found first."""
    found = dict(os.environ)
    found.pop("KNOCKER_DB", None)
    first = {"PATH": f"{build}:{Path(sys.executable).parent}", "CPATH": f"{build}", "LIBRARY_PATH": f"{build}", "LD_LIBRARY_PATH": f"{build}"}
    for name, value in first.items():
        found[name] = f"{value}:{found[name]}" if found.get(name) else value
    found["KNOCKER_BUILD"] = str(build)
    return found


def command(arguments: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Runs a program to its end and returns what it printed."""
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"it took longer than {SECONDS} s") from error
    output = done.stdout.decode(errors="backslashreplace")
    if done.returncode:
        raise Failed(f"{arguments[0]} ended with {done.returncode}:\n{output}")
    return output


def shell(code: str, folder: Path, variables: dict[str, str]) -> str:
    return command(["bash", "-e", "-o", "pipefail", "-c", code], folder, variables)


# ---- C ----


def c_program(code: str, folder: Path, variables: dict[str, str]) -> str:
    source = folder / "block.c"
    source.write_text(code)
    command([*CC, "-o", "block", source.name, "-lknocker"], folder, variables)
    return command([str(folder / "block")], folder, variables)


def c_parts(parts: list[str], folder: Path, variables: dict[str, str]) -> list[str]:
    """Runs the parts of one `main` and returns what each printed."""
    body = "".join(f'{part}\nputs("{MARK}");\n' for part in parts)
    outputs = c_program(f"{PRELUDE}{body}return 0;\n}}\n", folder, variables).split(f"{MARK}\n")
    if len(outputs) != len(parts) + 1:
        raise Failed(f"the program ended in part {len(outputs)}:\n{outputs[-1]}")
    return outputs[:-1]


# ---- Python ----


def _python_main(end: Connection, folder: str, variables: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.path.append(folder)  # last: the folder holds knocker.so, which is no Python module
    names: dict[str, object] = {"__name__": "__main__"}
    while (code := end.recv()) is not None:
        printed, failed = io.StringIO(), False
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(code, "block", "exec"), names)  # noqa: S102 - it is our own page
            except BaseException:  # noqa: BLE001 - a page that calls exit() is a failure too
                printed.write(traceback.format_exc())
                failed = True
        end.send((printed.getvalue(), failed))


class Python:
    """One interpreter, of the kind that runs this."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.end, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_python_main, args=(other, str(folder), variables), daemon=True)
        self.process.start()
        other.close()

    def run(self, code: str) -> str:
        self.end.send(code)
        try:
            if not self.end.poll(SECONDS):
                raise Failed(f"it took longer than {SECONDS} s")
            output, failed = self.end.recv()
        except EOFError as error:
            raise Failed("the interpreter died") from error
        if failed:
            raise Failed(str(output))
        return str(output)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.end.send(None)
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


# ---- SQL ----


class Sql:
    """One sqlite3 shell on app.db; what it says on both outputs is read in order."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "sqlite3", "-batch", "app.db"],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.waiting = b""

    def run(self, code: str) -> str:
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{code}\n.print {MARK}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Failed("the shell has ended") from error
        output = self._until_mark()
        if SQL_ERROR.search(output):
            raise Failed(output)
        return output

    def _until_mark(self) -> str:
        assert self.process.stdout
        end, mark = time.monotonic() + SECONDS, f"{MARK}\n".encode()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while mark not in self.waiting:
                more = b""
                if selector.select(end - time.monotonic()):
                    more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise Failed(f"a statement does not end, or the shell did:\n{self.waiting.decode(errors='replace')}")
                self.waiting += more
        output, _, self.waiting = self.waiting.partition(mark)
        return output.decode(errors="backslashreplace")

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
