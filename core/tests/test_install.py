"""What `cmake --install` puts into a folder, used from there as a stranger would, after the folder was moved.

Run in the root of the tree: python3 core/tests/test_install.py. KNOCKER_BUILD names another build folder.
"""

import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("KNOCKER_BUILD", ROOT / "build"))
VERSION = (ROOT / "VERSION").read_text(encoding="utf-8").strip()

# Receives one request in a new file and prints what became of it.
USER = """
#include <inttypes.h>
#include <stdio.h>
#include <knocker.h>
#define T(text) ((knocker_bytes){(text), -1})
int main(int count, char **arguments)
{
	knocker_open_options how = {.size = sizeof how, .path = T(arguments[count - 1])};
	knocker_endpoint shop = {.size = sizeof shop, .name = T("shop"), .provider = T("token-header"),
	                         .secrets_json = T("[\\"dev-secret\\"]")};
	knocker_request request = {.size = sizeof request, .endpoint = T("shop"),
	                           .headers = T("X-Knocker-Token: dev-secret\\n"), .body = T("{\\"id\\":\\"o-1\\"}")};
	knocker_rows *rows = NULL;
	knocker_error error = {0};
	knocker_value value;
	knocker *k = NULL;

	if (knocker_open(&how, &k, &error) < 0 || knocker_endpoint_add(k, &shop, NULL, &error) < 0 ||
	    knocker_receive(k, &request, &rows, &error) < 0 || knocker_rows_next(rows) != 0) {
		puts(error.text);
		return 1;
	}
	knocker_rows_value(rows, knocker_rows_find(rows, "status_code"), &value);
	printf("%s: %" PRId64 "\\n", knocker_version(), value.integer);
	knocker_rows_free(rows);
	return knocker_close(k, &error) < 0;
}
"""


def run(*command: object, **environment: str) -> str:
    """What a command prints; nothing of our own environment names a library or a database for it."""
    bare = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "KNOCKER_DB")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, env={**bare, **environment}, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def dynamic(file: Path, kind: str) -> list[str]:
    return re.findall(rf"\({kind}\).*\[(.*)\]", run("readelf", "--dynamic", file))


class Install(unittest.TestCase):
    folder: Path
    prefix: Path

    @classmethod
    def setUpClass(cls) -> None:
        made = tempfile.TemporaryDirectory()
        cls.addClassCleanup(made.cleanup)
        cls.folder = Path(made.name)
        run("cmake", "--install", BUILD, "--prefix", cls.folder / "first")
        cls.prefix = cls.folder / "moved"
        (cls.folder / "first").rename(cls.prefix)

    def lib_folder(self) -> Path:
        (library,) = self.prefix.rglob("libknocker.a")
        return library.parent

    def pkg_config(self, *words: str) -> list[str]:
        path = str(self.lib_folder() / "pkgconfig")
        return shlex.split(run("pkg-config", *words, "knocker", PKG_CONFIG_PATH=path))

    def compile(self, name: str, *words: str) -> Path:
        source, program = self.folder / "user.c", self.folder / name
        source.write_text(USER)
        run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", program, *words)
        return program

    def test_nothing_else_is_installed(self) -> None:
        library = self.lib_folder().relative_to(self.prefix)
        found = {str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if not path.is_dir()}
        self.assertEqual(found, {
            "bin/knocker",
            "include/knocker.h",
            f"{library}/knocker/knocker.so",
            f"{library}/libknocker.a",
            f"{library}/libknocker.so",
            f"{library}/libknocker.so.0",
            f"{library}/libknocker.so.{VERSION}",
            f"{library}/pkgconfig/knocker.pc",
            "share/bash-completion/completions/knocker",
            "share/doc/knocker/LICENSE",
            "share/doc/knocker/LICENSE.cjson",
            "share/man/man1/knocker.1",
            "share/zsh/site-functions/_knocker",
        })  # fmt: skip

    def test_no_file_names_the_folder_it_was_made_for(self) -> None:
        for path in self.prefix.rglob("*"):
            if path.is_file():
                self.assertNotIn(str(self.folder).encode(), path.read_bytes(), path)

    def test_the_name_by_which_programs_load_the_library_is_stable(self) -> None:
        library = self.lib_folder()
        self.assertEqual(dynamic(library / "libknocker.so", "SONAME"), ["libknocker.so.0"])
        self.assertEqual((library / "libknocker.so").resolve(), library / f"libknocker.so.{VERSION}")

    def test_pkg_config_knows_the_version(self) -> None:
        self.assertEqual(self.pkg_config("--modversion"), [VERSION])

    def test_a_program_with_the_shared_library_needs_nothing_besides(self) -> None:
        program = self.compile("shared", *self.pkg_config("--cflags", "--libs"))
        needed = [name for name in dynamic(program, "NEEDED") if not name.startswith("libc.")]
        self.assertEqual(needed, ["libknocker.so.0"])
        said = run(program, self.folder / "shared.db", LD_LIBRARY_PATH=str(self.lib_folder()))
        self.assertEqual(said, f"{VERSION}: 204\n")

    def test_a_program_with_the_static_library_stands_alone(self) -> None:
        # libcrypto's own resolver makes glibc's linker warn, which is no error.
        program = self.compile("static", "-static", *self.pkg_config("--static", "--cflags", "--libs"))
        self.assertNotIn("NEEDED", run("readelf", "--dynamic", program))
        self.assertEqual(run(program, self.folder / "static.db"), f"{VERSION}: 204\n")

    def test_the_command_finds_its_library_where_both_stand(self) -> None:
        db, command = self.folder / "command.db", self.prefix / "bin/knocker"
        self.assertEqual(run(command, "--version"), f"knocker {VERSION}\n")
        self.assertIn("now has an inbox", run(command, "init", "--db", db))
        (loaded,) = re.findall(r"libknocker\.so\.0 => (\S+)", run("ldd", command))
        self.assertEqual(Path(loaded).resolve().parent, self.lib_folder())

    def test_the_sqlite_shell_loads_the_extension(self) -> None:
        (extension,) = self.pkg_config("--variable=extension")
        said = run("sqlite3", self.folder / "extension.db", f".load {extension}", "select knocker_bootstrap() is null",
                   "select count(*) > 0 from knocker_providers")  # fmt: skip
        self.assertEqual(said.splitlines()[-1], "1")

    def test_the_man_page_renders(self) -> None:
        shown = run("groff", "-mdoc", "-Tutf8", self.prefix / "share/man/man1/knocker.1")
        self.assertIn("KNOCKER(1)", shown)

    def test_both_shells_find_the_completion(self) -> None:
        bash = self.prefix / "share/bash-completion/completions/knocker"
        self.assertEqual(run("bash", "-c", f"source {bash}; complete -p knocker"), "complete -F _knocker knocker\n")
        zsh = f"fpath=({self.prefix}/share/zsh/site-functions $fpath); autoload compinit; compinit -D -u; print $_comps[knocker]"
        self.assertEqual(run("zsh", "-f", "-c", zsh), "_knocker\n")


if __name__ == "__main__":
    unittest.main()
