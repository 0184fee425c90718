"""Checks on our own sources what the compiler does not: layers, sizes, banned calls, how SQL files look.

Usage: tidy.py [--layout] [ROOT]. Each finding is a line `file:line: what; what to do instead`. --layout also asks
clang-format. The rules are the tables at the top. What is not ours or made from other files (ELSEWHERE) is not looked at.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from embed import sql_bare
from layers import layer_of

FUNCTION_LINES = 60
FILE_LINES = 500
PYTHON_LINES = 800  # a face carries its documentation in the file
HEADER_LINES = 400
COLUMNS = 100
SQL_COLUMNS = 140  # a select list reads better whole
TAB = 4
ELSEWHERE = ("third_party/", "bindings/go/knocker.c", "bindings/go/knocker.h", "LICENSE")  # Go's copy is made by the build

# A foreign header, and the files that alone may include it.
FOREIGN = {
    r"sqlite3(ext)?\.h": (r"core/src/(db|extension)[^/]*|core/tests/.*", "call db.h"),
    r"openssl/.*": (r"core/src/crypto(_public|_certificate)?\.c|core/tests/(?!conformance).*", "call crypto.h"),
    r"(.*/)?cJSON\.h": (r"core/src/json\.c|core/tests/.*|apps/.*/tests/.*", "call json.h"),
    r"curl/.*": (r"apps/.*", "only the command line talks HTTP"),
}

# A call that is not made, where, and what is called instead.
EVERYWHERE = r"core/.*|apps/.*|bindings/.*"
CORE = r"core/src/.*"
BANNED = [
    ("strcpy|strncpy|stpcpy", EVERYWHERE, "", "copy a known size with memcpy, or append to a buffer"),
    ("strcat|strncat", EVERYWHERE, "", "append to a buffer"),
    ("sprintf|vsprintf", EVERYWHERE, "", "use snprintf, or buffer_int and buffer_text"),
    ("strtok|strtok_r", EVERYWHERE, "", "walk a slice with bytes_find and bytes_part"),
    ("atoi|atol|atoll|atof", EVERYWHERE, "", "parse with a function that refuses what is no number"),
    ("gets", EVERYWHERE, "", "read a known size"),
    ("alloca", EVERYWHERE, "", "use a fixed array or an arena"),
    ("malloc|calloc|realloc|free|strdup|strndup", CORE, r"core/src/bytes\.c",
     "every allocation passes memory_get, memory_resize and memory_free, so that tests can fail each"),
    ("strlen", CORE, r"core/src/(bytes|error|rows|bell)\.c|core/src/(db|extension)[^/]*\.c",
     "what was received has a length; of our own text take bytes_of"),
    ("printf|fprintf|puts|fputs|perror|putchar", CORE, "", "the core prints nothing; say it with fail()"),
    ("exit|abort|_exit|quick_exit", CORE, "", "the core never ends its host; return an error"),
]  # fmt: skip

SQL_WORDS = (
    "SELECT INSERT UPDATE DELETE FROM WHERE AND OR NOT NULL IS IN INTO VALUES SET ORDER BY GROUP HAVING LIMIT ON AS JOIN LEFT "
    "CREATE TABLE INDEX UNIQUE VIEW TRIGGER PRIMARY KEY CHECK DEFAULT INTEGER TEXT BLOB REAL WITHOUT ROWID RETURNING CONFLICT "
    "DO NOTHING CASE WHEN THEN ELSE END BETWEEN EXISTS UNION ALL WITH DESC ASC DISTINCT REFERENCES IF REPLACE COALESCE"
).split()


class Source(NamedTuple):
    """A file of ours: where it stands, its text, and the text with comments and literals blanked."""

    path: str
    text: str
    code: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


class Finding(NamedTuple):
    path: str
    line: int
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; {self.instead}"


C_TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
SQL_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)


def blank(token: re.Pattern[str], text: str) -> str:
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def columns(line: str) -> int:
    return len(line.expandtabs(TAB))


# ---- C ----


def check_size(s: Source) -> Iterator[Finding]:
    count = s.text.count("\n")
    header, python = s.path == "core/include/knocker.h", s.path.endswith(".py")
    limit = HEADER_LINES if header else PYTHON_LINES if python else FILE_LINES
    if count > limit:
        yield Finding(s.path, limit + 1, f"the file has {count} lines and may have {limit}", "give a second noun a file of its own")


def check_columns(s: Source) -> Iterator[Finding]:
    """A line that is one literal is left whole, so that a message can be searched for."""
    limit = SQL_COLUMNS if s.path.endswith(".sql") else COLUMNS
    for number, line in enumerate(s.text.splitlines(), 1):
        if columns(line) > limit and not re.fullmatch(r'\s*"(?:[^"\\]|\\.)*"[),;]*', line):
            what = f"the line has {columns(line)} columns and may have {limit}"
            yield Finding(s.path, number, what, "break it; ./run format does it for C")


def check_opening(s: Source) -> Iterator[Finding]:
    if not s.text.startswith("/*"):
        yield Finding(s.path, 1, "the file does not open with a comment", "say what it owns and what it refuses to know")


def check_functions(s: Source) -> Iterator[Finding]:
    lines = s.code.splitlines()
    start = signature = 0
    for number, line in enumerate(lines, 1):
        if line == "{" and not start:
            start, signature = number, number - 1
            while signature > 1 and lines[signature - 1].startswith(("\t", " ")):
                signature -= 1
        elif line.startswith("}") and start:
            if number - signature + 1 > FUNCTION_LINES:
                name = re.search(r"(\w+)\(", lines[signature - 1])
                what = f"{name.group(1) if name else 'the function'} has {number - signature + 1} lines and may have {FUNCTION_LINES}"
                yield Finding(s.path, signature, what, "move a job of its own into a function with a name")
            start = 0


def check_calls(s: Source) -> Iterator[Finding]:
    for names, where, except_in, instead in BANNED:
        if not re.fullmatch(where, s.path) or (except_in and re.fullmatch(except_in, s.path)):
            continue
        for match in re.finditer(rf"(?<![\w.>])({names})[ \t]*\(", s.code):
            yield Finding(s.path, s.line(match.start()), f"{match.group(1)} is not called here", instead)


def includes(s: Source) -> Iterator[tuple[int, str, str]]:
    """Line, `<` or a quote, name. Read from the text, where the name of a quoted include still stands."""
    for match in INCLUDE.finditer(s.text):
        if s.code[match.start() : match.end()].strip():
            yield s.line(match.start(1)), match.group(1), match.group(2)


def check_foreign(s: Source) -> Iterator[Finding]:
    for line, _, name in includes(s):
        for header, (homes, instead) in FOREIGN.items():
            if re.fullmatch(header, name) and not re.fullmatch(homes, s.path):
                yield Finding(s.path, line, f"<{name}> is not included here", instead)


def check_data(s: Source) -> Iterator[Finding]:
    """Data with external linkage cannot be made static in the flattened file, so it would meet the application's names."""
    if re.fullmatch(r"core/src/.*\.h", s.path):
        for match in re.finditer(r"^extern\b", s.code, re.MULTILINE):
            yield Finding(s.path, s.line(match.start()), "an internal header declares data", "hand it out by a function, or as a macro")


def check_layers(s: Source) -> Iterator[Finding]:
    if not s.path.startswith("core/src/"):
        return
    stem = s.name.rsplit(".", 1)[0]
    own = layer_of(stem)
    if own is None:
        yield Finding(s.path, 1, f"nobody has said in which layer {stem} stands", "add it to LAYERS in tools/layers.py")
        return
    for line, mark, name in includes(s):
        other = layer_of(name.removesuffix(".h")) if mark == '"' else None
        if other is not None and other > own:
            what = f"layer {own} includes {name} of layer {other}"
            yield Finding(s.path, line, what, "arrows point down: let the caller hand in what it knows")


def check_outside(s: Source) -> Iterator[Finding]:
    """Whoever stands outside of core/ sees knocker.h, and the headers of its own folder."""
    door = s.path.startswith("core/tests/conformance")
    if not (door or s.path.startswith(("apps/", "bindings/"))):
        return
    for line, mark, name in includes(s):
        if mark == '"' and name not in ("knocker.h", "knocker.c", "cJSON.h") and ("/" in name or layer_of(name.removesuffix(".h")) is not None):
            beside = Path(s.path).parent / name
            if str(beside) not in KNOWN:
                yield Finding(s.path, line, f'"{name}" belongs to the inside of the core', "include knocker.h only")


# Paths of all sources of this run, to tell a header of one's own folder from one of the core.
KNOWN: set[str] = set()

C_CHECKS = [check_size, check_columns, check_opening, check_functions, check_calls, check_foreign, check_data, check_layers, check_outside]


# ---- SQL ----


def check_sql_case(s: Source) -> Iterator[Finding]:
    for match in re.finditer(rf"\b({'|'.join(SQL_WORDS)})\b", s.code):
        yield Finding(s.path, s.line(match.start()), f"{match.group(1)} stands in capitals", f"write {match.group(1).lower()}")


def check_sql_statement(s: Source) -> Iterator[Finding]:
    if not s.path.startswith("core/sql/statements/"):
        return
    if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+\.sql", s.name):
        yield Finding(s.path, 1, "the file's name is no subject and verb", "name it as job_claim.sql")
    count = len([part for part in blank(SQL_TOKEN, sql_bare(s.text)).split(";") if part.strip()])
    if count != 1:
        yield Finding(s.path, 1, f"the file holds {count} statements", "one statement a file")


def check_sql_ephemeral(s: Source) -> Iterator[Finding]:
    if not s.path.startswith("core/sql/schema/"):
        return
    start = 0
    for part in s.code.split(";"):
        if re.match(r"\s*(create\s+table|create\s+(unique\s+)?index|alter\s+table)\b", part, re.IGNORECASE):
            for match in re.finditer(r"\bin\s*\(", part, re.IGNORECASE):
                what = "`in (...)` in a check or a partial index opens an ephemeral table for every row written"
                yield Finding(s.path, s.line(start + match.start()), what, "write = and or, or between")
        start += len(part) + 1


SQL_CHECKS = [check_size, check_columns, check_sql_case, check_sql_statement, check_sql_ephemeral]


# ---- Every text ----

LEFT_TO_DO = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.@-])/(?:home|root|Users|work|farm)/\w")
OUTSIDE_PATH = re.compile(r"\.\./shared\b")


def check_text(s: Source) -> Iterator[Finding]:
    for match in LEFT_TO_DO.finditer(s.text):
        yield Finding(s.path, s.line(match.start()), f"{match.group(1)}: work is left in the text", "do it, or open an issue")
    for match in MACHINE_PATH.finditer(s.text):
        yield Finding(s.path, s.line(match.start()), "a path of somebody's machine", "name it from the root of the repository")
    for match in OUTSIDE_PATH.finditer(s.text):
        yield Finding(s.path, s.line(match.start()), "a path that leaves the repository", "say here what stands there")


def check_python(s: Source) -> Iterator[Finding]:
    yield from check_size(s)
    if not re.match(r'(#!.*\n)?("""|#)', s.text) and s.text.strip():
        yield Finding(s.path, 1, "the file does not open with a docstring", "say what it is for and how it is run")


# ---- The run ----


def sources(root: Path) -> Iterator[Source]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True
    ).stdout.decode()
    for path in sorted(set(filter(None, listed.split("\0")))):
        file = root / path
        if path.startswith(ELSEWHERE) or not file.is_file() or file.is_symlink():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        token = SQL_TOKEN if path.endswith(".sql") else C_TOKEN
        yield Source(path, text, blank(token, text) if path.endswith((".c", ".h", ".sql")) else text)


def check(root: Path) -> list[Finding]:
    found: list[Finding] = []
    every = list(sources(root))
    KNOWN.clear()
    KNOWN.update(s.path for s in every)
    for s in every:
        checks = [check_text]
        if s.path.endswith((".c", ".h")) and re.fullmatch(EVERYWHERE, s.path):
            checks += C_CHECKS
        elif s.path.endswith(".sql") and s.path.startswith("core/"):
            checks += SQL_CHECKS
        elif s.path.endswith(".py"):
            checks.append(check_python)
        for one in checks:
            found += one(s)
    return found


def check_layout(root: Path, paths: Iterable[str]) -> list[Finding]:
    files = [p for p in paths if p.endswith((".c", ".h")) and re.fullmatch(EVERYWHERE, p)]
    said = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=root, capture_output=True, text=True).stderr
    lines = re.findall(r"^([^:\s]+):(\d+):\d+: error: ", said, re.MULTILINE)
    if said and not lines:
        sys.exit(f"tidy: clang-format could not do its work:\n{said}")
    return [Finding(path, int(line), "clang-format would lay this out differently", "./run format") for path, line in lines]


def main(arguments: list[str]) -> int:
    layout = "--layout" in arguments
    roots = [a for a in arguments if a != "--layout"]
    root = Path(roots[0] if roots else Path(__file__).parent.parent)
    found = check(root)
    if layout:
        found += check_layout(root, KNOWN)
    for finding in found:
        print(finding)
    print(f"tidy: {len(KNOWN)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
