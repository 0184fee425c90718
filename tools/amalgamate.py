"""Flattens the core into one file to compile, knocker.c, and its header, knocker.h.

Usage: amalgamate.py ROOT GENERATED OUT. What internal headers declare becomes static, and cJSON too, so that the
only names an application can meet are those of knocker.h.
"""

import re
import sys
from pathlib import Path
from typing import NoReturn

from layers import layer_of

PRELUDE = """\
/*
 * Knocker {version}, all of it in one file: a durable webhook inbox inside an application's own SQLite file.
 * The sources it was made from are easier to read: this file is made by tools/amalgamate.py.
 *
 *   the library:    cc -c knocker.c                                      then link with -lsqlite3 -lcrypto -lpthread
 *   the extension:  cc -shared -fPIC -DKNOCKER_EXTENSION knocker.c -o knocker.so -lcrypto
 *
 * SPDX-License-Identifier: Apache-2.0 AND MIT (cJSON, at the end of the file)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* A function of the core that other parts of the core call; a build of one door may leave some uncalled. */
#define KNOCKER_PRIVATE static __attribute__((unused))

"""

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)".*$', re.MULTILINE)
# A prototype begins in the first column with a type and a name, and its line opens the parenthesis of the arguments.
PROTOTYPE = re.compile(r"^(?!typedef\b|static\b|struct\b[^(]*\{|enum\b[^(]*\{|return\b)([a-z_][A-Za-z0-9_ ]*[ *]+\*?[a-z_][a-z0-9_]*\()", re.MULTILINE)


def refuse(sentence: str) -> NoReturn:
    sys.exit(f"amalgamate: {sentence}")


class Flattener:
    def __init__(self, root: Path, generated: Path) -> None:
        self.root = root
        self.homes = [root / "core/src", generated]
        self.seen: set[str] = set()

    def internal(self, name: str) -> Path | None:
        return next((home / name for home in self.homes if (home / name).is_file()), None)

    def expand(self, path: Path, text: str) -> str:
        """The text with each internal header in the place of its first include, and later includes gone."""

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in self.seen:
                return ""
            self.seen.add(name)
            if name in ("knocker.h", "sqlite3ext.h"):
                return match.group(0)
            if name == "cJSON.h":
                return cjson_private((self.root / "third_party/cjson/cJSON.h").read_text(encoding="utf-8"))
            header = self.internal(name)
            if header is None:
                refuse(f'{path}: no file of the core is named "{name}"; foreign headers are included with < >')
            return self.expand(header, header_private(header.read_text(encoding="utf-8")))

        return INCLUDE.sub(replace, text)

    def source(self, path: Path) -> str:
        door = path.stem.split("_")[0]
        text = f"\n/* ==== core/src/{path.name} ==== */\n\n{self.expand(path, path.read_text(encoding='utf-8'))}"
        if door.startswith("api"):
            return f"\n#ifndef KNOCKER_EXTENSION\n{text}#endif\n"
        return text


def header_private(text: str) -> str:
    parts = re.split(r"(/\*.*?\*/)", text, flags=re.DOTALL)
    return "".join(p if p.startswith("/*") else PROTOTYPE.sub(r"KNOCKER_PRIVATE \1", p) for p in parts)


def cjson_private(text: str) -> str:
    """cJSON.h or cJSON.c with every function static."""
    changed = text.replace("#define CJSON_PUBLIC(type) type\n", "#define CJSON_PUBLIC(type) KNOCKER_PRIVATE type\n")
    changed = changed.replace('__attribute__((visibility("default"))) type', "KNOCKER_PRIVATE type")
    return changed.replace('#include "cJSON.h"\n', "")


def sources(root: Path) -> list[Path]:
    """Lower layers first; a file without a place comes last, and tidy says so."""

    def place(path: Path) -> tuple[int, str]:
        layer = layer_of(path.stem)
        return (9 if layer is None else layer, path.name)

    return sorted((root / "core/src").glob("*.c"), key=place)


def main(root: Path, generated: Path, out: Path) -> None:
    flattener = Flattener(root, generated)
    version = (root / "VERSION").read_text(encoding="utf-8").strip()
    text = PRELUDE.replace("{version}", version)
    text += "".join(flattener.source(path) for path in sources(root))
    cjson = (root / "third_party/cjson/cJSON.c").read_text(encoding="utf-8")
    if "cJSON.h" in flattener.seen:
        text += f"\n/* ==== third_party/cjson/cJSON.c ==== */\n\n{cjson_private(cjson)}"
    (out / "knocker.c").write_text(text, encoding="utf-8")
    (out / "knocker.h").write_text((root / "core/include/knocker.h").read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: amalgamate.py ROOT GENERATED OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
