"""What the release build left in build/: the header alone, the exported symbols, the flattened file, both compilers.

Run in the root of the tree: python3 -m unittest core/tests/test_build.py. KNOCKER_BUILD names another build folder.
"""

import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("KNOCKER_BUILD", ROOT / "build"))
HEADER = ROOT / "core/include/knocker.h"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

USER = """
#include <stdio.h>
#include <string.h>
#include "knocker.h"
/* Names that the core uses inside: an application may have its own. */
int fail(void) { return 1; }
int bytes_of(void) { return 2; }
int memory_get(void) { return 3; }
int cJSON_Parse(void) { return 4; }
int main(void)
{
	knocker_rows *rows = NULL;
	knocker_error error;
	int count = 0;

	if (strcmp(knocker_version(), VERSION) != 0 || strcmp(knocker_error_name(KNOCKER_LEASE_LOST), "lease_lost") != 0)
		return 1;
	if (knocker_providers(&rows, &error) != KNOCKER_OK)
		return 2;
	while (knocker_rows_next(rows) == 0)
		count++;
	knocker_rows_free(rows);
	printf("%d providers\\n", count);
	return count > 0 && fail() + bytes_of() + memory_get() + cJSON_Parse() == 10 ? 0 : 3;
}
"""


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def symbols(file: Path, *options: str) -> list[str]:
    """The names a file defines for others; those of the linker aside."""
    lines = run("nm", "--defined-only", "--extern-only", *options, file).splitlines()
    return sorted(line.split()[2] for line in lines if re.fullmatch(r"[0-9a-f]+ [A-Z] \w+", line))


def declared() -> list[str]:
    text = COMMENT.sub("", HEADER.read_text(encoding="utf-8"))
    return sorted(re.findall(r"^(?:const char \*|void |int32_t )(knocker_\w+)\(", text, re.MULTILINE))


class Header(unittest.TestCase):
    def test_it_compiles_alone_as_c11_and_as_cxx17_with_both_compilers(self) -> None:
        source = ROOT / "core/tests/header_alone.c"
        for compiler, options in (("gcc", ["-std=c11"]), ("clang", ["-std=c11"]), ("g++", ["-xc++", "-std=c++17"]), ("clang++", ["-xc++", "-std=c++17"])):
            with self.subTest(compiler):
                run(compiler, *options, *WARNINGS, "-fsyntax-only", f"-I{HEADER.parent}", source)

    def test_it_has_at_most_400_lines(self) -> None:
        self.assertLessEqual(HEADER.read_text(encoding="utf-8").count("\n"), 400)

    def test_all_its_functions_stand_where_names_are_visible(self) -> None:
        text = COMMENT.sub("", HEADER.read_text(encoding="utf-8"))
        visible = text[text.index("visibility push(default)") : text.index("visibility pop")]
        self.assertEqual(sorted(re.findall(r"\b(knocker_\w+)\(", visible)), declared())
        self.assertEqual([], re.findall(r"\b(knocker_\w+)\(", text.replace(visible, "")))


class Symbols(unittest.TestCase):
    def frozen(self) -> list[str]:
        return (ROOT / "core/symbols.txt").read_text(encoding="utf-8").split()

    def test_the_frozen_list_is_sorted_and_is_what_the_header_declares(self) -> None:
        self.assertEqual(self.frozen(), declared())

    def test_the_shared_library_exports_the_frozen_list_and_nothing_else(self) -> None:
        self.assertEqual(symbols(BUILD / "libknocker.so", "--dynamic"), self.frozen())

    def test_the_static_library_defines_the_frozen_list_and_nothing_else(self) -> None:
        self.assertEqual(symbols(BUILD / "libknocker.a"), self.frozen())

    def test_the_extension_exports_its_entry_point_and_nothing_else(self) -> None:
        self.assertEqual(symbols(BUILD / "knocker.so", "--dynamic"), ["sqlite3_knocker_init"])

    def test_the_extension_links_no_sqlite_of_its_own(self) -> None:
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", BUILD / "knocker.so"))
        self.assertIn("libcrypto.so.3", needed)
        self.assertEqual([name for name in needed if "sqlite" in name], [])


class Use(unittest.TestCase):
    """A small application that has names of its own which the core also uses inside."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.user = self.folder / "user.c"
        self.user.write_text(USER)
        self.program = self.folder / "user"
        self.version = (ROOT / "VERSION").read_text().strip()

    def link(self, *with_what: object, cc: str = "gcc") -> None:
        run(cc, "-std=c11", f'-DVERSION="{self.version}"', f"-I{BUILD}", "-o", self.program, self.user, *with_what)
        folders = len(list((ROOT / "providers").glob("*/provider.json")))
        self.assertEqual(run(self.program), f"{folders} providers\n")

    def test_it_links_with_the_shared_library(self) -> None:
        self.link(f"-L{BUILD}", "-lknocker", f"-Wl,-rpath,{BUILD}")

    def test_it_links_with_the_static_library(self) -> None:
        self.link(BUILD / "libknocker.a", "-lsqlite3", "-lcrypto", "-lpthread")

    def test_it_links_with_the_flattened_file_as_strict_c11_of_both_compilers(self) -> None:
        for cc in ("gcc", "clang"):
            with self.subTest(cc):
                made = self.folder / "knocker.o"
                run(cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", BUILD / "knocker.c", "-o", made)
                self.assertEqual(symbols(made), declared())
                self.link(made, "-lsqlite3", "-lcrypto", "-lpthread", cc=cc)

    def test_the_flattened_file_makes_the_extension(self) -> None:
        made = self.folder / "knocker.so"
        run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-DKNOCKER_EXTENSION",
            BUILD / "knocker.c", "-o", made, "-lcrypto", "-Wl,--no-undefined")  # fmt: skip
        said = run("sqlite3", ":memory:", f".load {made.with_suffix('')}", "select count(*) > 0 from pragma_function_list where name = 'knocker_receive'")
        self.assertEqual(said, "1\n")


class Clang(unittest.TestCase):
    def test_every_source_of_ours_is_clean_in_clang_too(self) -> None:
        compiled = 0
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            if "/third_party/" in entry["file"]:
                continue
            words = shlex.split(entry["command"])
            at = words.index("-o")
            with self.subTest(entry["file"]):
                run("clang", *words[1:at], *words[at + 2 :], "-fsyntax-only")
            compiled += 1
        self.assertGreater(compiled, 10)


if __name__ == "__main__":
    unittest.main()
