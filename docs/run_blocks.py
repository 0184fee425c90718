"""Runs every fenced code block of README.md, docs/**/*.md and bindings/python/README.md, and docs/tests/.

Usage: run_blocks.py [FILE...]. Each document has a fresh folder that holds knocker.so, knocker.c and knocker.h of the
build, and its blocks run there from top to bottom:

    python    in one interpreter a document, so blocks share their names
    sql       in one sqlite3 shell a document, on app.db
    c         with `main`: a program of its own; without: the next part of the document's one main
    sh        by bash, with the build and this interpreter first in PATH
    json      must parse
    text      directly below a block: what that block must print, `...` standing for anything; else it is prose

The page of a language is run by that language's own tests (LANGUAGES), which are named here and must be there; its links
are followed all the same.

A block whose first line is a comment that holds only a file's name is also written to that file. Any other language, a
block that fails, prints what it should not, or takes a minute, and a link that leads nowhere, are failures.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import sessions

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("KNOCKER_BUILD", ROOT / "build"))
PRODUCTS = ("knocker.so", "knocker.c", "knocker.h")
LANGUAGES = {
    "bun.md": "bindings/bun/test/pages.test.js",
    "elixir.md": "bindings/elixir/test/readme_test.exs",
    "node.md": "bindings/node/test/pages.test.mjs",
    "ruby.md": "bindings/ruby/test/pages_test.rb",
}
FENCE = re.compile(r"^(`{3,})[ \t]*(\S*)[ \t]*$")
FILE_NAME = re.compile(r"^(?:#|--|/\*|//)[ \t]*([\w.-]+\.\w+)[ \t]*(?:\*/)?[ \t]*$")
LINK = re.compile(r"\[[^]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """A fenced block, where it stands, and what it must print; None: it may print anything that is no error."""

    line: int
    language: str
    code: str
    expected: str | None


class BlockError(Exception):
    """What is wrong with a block."""


# ---- reading a document ----


def fences(text: str) -> Iterator[tuple[int, int, str, str]]:
    """First line, last line, language and content of each fenced block."""
    opened: tuple[int, str, str] | None = None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match = FENCE.match(line)
        if match and opened is None:
            opened = (number, match.group(1), match.group(2))
        elif match and opened and match.group(1) == opened[1] and not match.group(2):
            yield opened[0], number, opened[2], "\n".join(lines[opened[0] : number - 1]) + "\n"
            opened = None
    if opened:
        raise BlockError(f"line {opened[0]}: the block is never closed")


def blocks(text: str) -> Iterator[Block]:
    found = list(fences(text))
    lines = text.splitlines()
    for index, (first, last, language, code) in enumerate(found):
        if language == "text":
            continue
        expected = None
        if index + 1 < len(found):
            next_first, _, next_language, next_code = found[index + 1]
            if next_language == "text" and not "".join(lines[last : next_first - 1]).strip():
                expected = next_code
        yield Block(first, language, code, expected)


def without_code(text: str) -> str:
    for _, _, _, code in fences(text):
        text = text.replace(code, "", 1)
    return re.sub(r"`[^`\n]*`", "", text)


# ---- running one ----


def check_output(block: Block, output: str) -> None:
    if block.expected is None:
        return
    got, wanted = ("\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (output, block.expected))
    pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
    if not re.fullmatch(pattern, got, re.DOTALL):
        raise BlockError(f"it printed\n{got}\nbut the document says\n{wanted}")


class Document:
    """The sessions of one document, each begun by the first block that needs it."""

    def __init__(self, folder: Path, found: list[Block]) -> None:
        self.folder = folder
        self.environment = sessions.environment(BUILD)
        self.python: sessions.Python | None = None
        self.sql: sessions.Sql | None = None
        self.parts = [block.code for block in found if block.language == "c" and "int main(" not in block.code]
        self.part_outputs: list[str] | None = None
        self.runners: dict[str, Callable[[str], str]] = {
            "python": self.run_python,
            "sql": self.run_sql,
            "c": self.run_c,
            "sh": self.run_sh,
            "json": self.run_json,
        }
        for name in PRODUCTS:
            (folder / name).write_bytes((BUILD / name).read_bytes())

    def run(self, block: Block) -> None:
        if block.language not in self.runners:
            raise BlockError(f"nobody knows how to run the language {block.language!r}")
        name = FILE_NAME.match(block.code.split("\n", 1)[0])
        if name:
            (self.folder / name.group(1)).write_text(block.code)
        try:
            output = self.runners[block.language](block.code)
        except sessions.Failed as error:
            if not (block.language == "sql" and block.expected):
                raise BlockError(str(error)) from error
            output = str(error)
        check_output(block, output)

    def run_python(self, code: str) -> str:
        if self.python is None:
            self.python = sessions.Python(self.folder, self.environment)
        return self.python.run(code)

    def run_sql(self, code: str) -> str:
        if self.sql is None:
            self.sql = sessions.Sql(self.folder, self.environment)
        return self.sql.run(code)

    def run_c(self, code: str) -> str:
        if "int main(" in code:
            return sessions.c_program(code, self.folder, self.environment)
        if self.part_outputs is None:
            self.part_outputs = []
            self.part_outputs = sessions.c_parts(self.parts, self.folder, self.environment)
        if not self.part_outputs:
            raise BlockError("the program of which this is a part did not run")
        return self.part_outputs.pop(0)

    def run_sh(self, code: str) -> str:
        return sessions.shell(code, self.folder, self.environment)

    def run_json(self, code: str) -> str:
        try:
            json.loads(code)
        except ValueError as error:
            raise BlockError(f"it is no JSON: {error}") from error
        return ""

    def close(self) -> None:
        for session in (self.python, self.sql):
            if session:
                session.close()


def run_document(path: Path) -> tuple[int, list[str]]:
    """Runs a document's blocks; after a failed one the rest are run too, which may fail for its sake."""
    name = os.path.relpath(path, ROOT)
    if path.parent == ROOT / "docs" and path.name in LANGUAGES:
        runner = LANGUAGES[path.name]
        return 0, [] if (ROOT / runner).exists() else [f"{name}: {runner}, which runs it, is missing"]
    text = path.read_text()
    failures = []
    try:
        found = list(blocks(text))
    except BlockError as error:
        return 1, [f"{name}: {error}"]
    with tempfile.TemporaryDirectory(prefix="knocker-docs-") as folder:
        document = Document(Path(folder), found)
        try:
            for block in found:
                try:
                    document.run(block)
                except BlockError as error:
                    failures.append(f"{name}:{block.line}: {block.language}: {error}")
        finally:
            document.close()
    return len(found), failures


# ---- links ----


def dead_links(path: Path) -> tuple[int, list[str]]:
    try:
        targets = LINK.findall(without_code(path.read_text()))
    except BlockError:
        return 0, []
    local = [target for target in targets if "://" not in target]
    name = os.path.relpath(path, ROOT)
    dead = [f"{name}: the link to {target} leads nowhere" for target in local if not (path.parent / target).exists()]
    return len(local), dead


# ---- all ----


def run_tests(folder: Path) -> tuple[int, list[str]]:
    """The files in docs/tests, each a program that says `N passed` and fails by its exit code."""
    count, failures = 0, []
    for path in sorted(folder.glob("test_*.py")):
        done = subprocess.run(
            [sys.executable, path],
            env=sessions.environment(BUILD),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        said = re.search(r"^(\d+) passed$", done.stdout, re.MULTILINE)
        if done.returncode or not said:
            failures.append(f"{path.relative_to(ROOT)}:\n{done.stdout}")
        count += int(said.group(1)) if said else 1
    return count, failures


def main(arguments: list[str]) -> int:
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "bindings/python/README.md"]
    documents = [Path(name).resolve() for name in arguments] or every
    ran, links, failures = 0, 0, []
    for path in documents:
        count, wrong = run_document(path)
        link_count, dead = dead_links(path)
        print(f"{path.relative_to(ROOT)}: {count} blocks, {len(wrong) + len(dead)} failed", flush=True)
        ran, links, failures = ran + count, links + link_count, failures + wrong + dead
    tests = 0
    if not arguments:
        tests, wrong = run_tests(ROOT / "docs/tests")
        print(f"docs/tests: {tests} examples and checks, {len(wrong)} failed")
        failures += wrong
    for failure in failures:
        print(failure)
    print(f"docs: {ran} blocks run, {links} links followed, {len(failures)} failed")
    print(f"{ran + links + tests - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not ran else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    sys.exit(main(sys.argv[1:]))
