"""Feeds tidy one bad sample a rule and expects its message: python3 -m unittest tools/test_tidy.py."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import embed  # noqa: E402
import tidy  # noqa: E402

OPENING = "/* Owns this; knows nothing of that. */\n"
LONG_FUNCTION = "static int long_one(void)\n{\n" + "\tcall();\n" * 60 + "}\n"
WORK_LEFT = "TO" + "DO"

# Path, text, what the one finding says.
BAD = [
    ("core/src/bytes.c", "int a;\n", "bytes.c:1: the file does not open with a comment; say what it owns"),
    ("core/src/bytes.c", OPENING + "int a;\n" * 501, "bytes.c:501: the file has 502 lines and may have 500; give a second noun"),
    ("core/include/knocker.h", OPENING + "int a;\n" * 400, "knocker.h:401: the file has 401 lines and may have 400"),
    ("core/src/bytes.c", OPENING + "\tint " + "a" * 93 + ";\n", "bytes.c:2: the line has 102 columns and may have 100; break it"),
    ("core/src/bytes.c", OPENING + LONG_FUNCTION, "bytes.c:2: long_one has 63 lines and may have 60; move a job"),
    ("core/src/job.c", OPENING + "x = strcpy(a, b);\n", "job.c:2: strcpy is not called here; copy a known size"),
    ("apps/knocker/main.c", OPENING + "x = sprintf (a, b);\n", "main.c:2: sprintf is not called here; use snprintf"),
    ("core/tests/test_a.c", OPENING + "n = atoi(a);\n", "test_a.c:2: atoi is not called here; parse with a function"),
    ("core/src/job.c", OPENING + "p = malloc(1);\n", "job.c:2: malloc is not called here; every allocation passes memory_get"),
    ("core/src/job.c", OPENING + "n = strlen(a);\n", "job.c:2: strlen is not called here; what was received has a length"),
    ("core/src/job.c", OPENING + "exit(1);\n", "job.c:2: exit is not called here; the core never ends its host"),
    ("core/src/job.c", OPENING + 'printf("x");\n', "job.c:2: printf is not called here; the core prints nothing"),
    ("core/src/job.c", OPENING + "#include <sqlite3.h>\n", "job.c:2: <sqlite3.h> is not included here; call db.h"),
    ("core/src/scheme.c", OPENING + "#include <openssl/evp.h>\n", "scheme.c:2: <openssl/evp.h> is not included here; call crypto.h"),
    ("core/src/scheme.c", OPENING + '#include "cJSON.h"\n', "scheme.c:2: <cJSON.h> is not included here; call json.h"),
    ("core/src/job.c", OPENING + "#include <curl/curl.h>\n", "job.c:2: <curl/curl.h> is not included here; only the command line"),
    ("core/src/job.h", OPENING + "extern int job_count;\n", "job.h:2: an internal header declares data; hand it out by a function"),
    ("core/src/job.c", OPENING + '#include "inbox.h"\n', "job.c:2: layer 2 includes inbox.h of layer 3; arrows point down"),
    ("core/src/db_text.c", OPENING + '#include "job.h"\n', "db_text.c:2: layer 1 includes job.h of layer 2; arrows point down"),
    ("core/src/novel.c", OPENING, "novel.c:1: nobody has said in which layer novel stands; add it to LAYERS in tools/layers.py"),
    ("apps/knocker/main.c", OPENING + '#include "db.h"\n', 'main.c:2: "db.h" belongs to the inside of the core; include knocker.h only'),
    ("bindings/python/glue.c", OPENING + '#include "../../core/src/db.h"\n', "belongs to the inside of the core; include knocker.h only"),
    ("core/tests/conformance.c", OPENING + '#include "bytes.h"\n', "belongs to the inside of the core; include knocker.h only"),
    ("core/sql/statements/job_get.sql", "SELECT 1\n", "job_get.sql:1: SELECT stands in capitals; write select"),
    ("core/sql/statements/job_get.sql", "select 1;\nselect 2;\n", "job_get.sql:1: the file holds 2 statements; one statement a file"),
    ("core/sql/statements/Get.sql", "select 1\n", "Get.sql:1: the file's name is no subject and verb; name it as job_claim.sql"),
    ("core/sql/statements/job_get.sql", "select " + "a" * 140 + "\n", "job_get.sql:1: the line has 147 columns and may have 140"),
    ("core/sql/schema/001_a.sql", "create table t (\n\ta check (a in (1, 2)));\n", "001_a.sql:2: `in (...)` in a check"),
    ("core/sql/schema/001_a.sql", "create table t (a);\ncreate index i on t (a)\nwhere a in (1, 2);\n", "001_a.sql:3: `in (...)` in a check"),
    ("docs/a.md", f"{WORK_LEFT}: more\n", f"a.md:1: {WORK_LEFT}: work is left in the text; do it"),
    ("docs/a.md", "see /home" + "/someone/x\n", "a.md:1: a path of somebody's machine"),
    ("docs/a.md", "see ../" + "shared/x\n", "a.md:1: a path that leaves the repository"),
    ("tools/a.py", "import os\n", "a.py:1: the file does not open with a docstring"),
]  # fmt: skip

# Path, text: nothing is found.
GOOD = [
    ("core/src/bytes.c", OPENING + "\tfail(error,\n\t     \"" + "a" * 120 + "\");\n"),
    ("core/src/bytes.c", OPENING + "x = malloc(1);\nn = strlen(a);\n"),
    ("core/src/job.c", OPENING + "/* never strcpy(a, b) */\nx = 'strcpy(';\ny = \"malloc(1)\";\nmemory_free(x);\nv->free(x);\n"),
    ("core/src/job.c", OPENING + '#include "job.h"\n#include "db.h"\n#include "knocker.h"\n#include <string.h>\n'),
    ("core/src/job.c", OPENING + "int job_a(void)\n{\n" + "\tcall();\n" * 57 + "}\n"),
    ("core/src/db_text.c", OPENING + "#include <sqlite3.h>\n"),
    ("core/src/extension_row.c", OPENING + "#include <sqlite3ext.h>\n"),
    ("core/tests/test_a.c", OPENING + '#include "db.h"\n#include <sqlite3.h>\nfree(a);\nprintf("ok");\n'),
    ("core/sql/statements/job_get.sql", "-- Two; in a comment. SELECT\nselect 'A; B SELECT';\n"),
    ("core/sql/schema/001_a.sql", "create table t (a check (a = 1 or a = 2));\ncreate view v as select a from t where a in (1, 2);\n"),
    ("third_party/a.c", "strcpy(a, b);\n"),
]


class Tidy(unittest.TestCase):
    def found(self, path: str, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            subprocess.run(["git", "init", "-q", folder], check=True)
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(text, encoding="utf-8")
            return [str(finding) for finding in tidy.check(root)]

    def test_each_bad_sample_is_found_once_and_told_what_to_do(self) -> None:
        for path, text, message in BAD:
            with self.subTest(message):
                found = self.found(path, text)
                self.assertEqual(len(found), 1, found)
                self.assertIn(message, found[0])
                self.assertIn("; ", found[0])

    def test_good_samples_are_left_in_peace(self) -> None:
        for path, text in GOOD:
            with self.subTest(path):
                self.assertEqual(self.found(path, text), [])

    def test_a_header_of_ones_own_folder_may_be_named_like_one_of_the_core(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            app = Path(folder) / "apps/knocker"
            app.mkdir(parents=True)
            (app / "request.h").write_text(OPENING)
            (app / "main.c").write_text(OPENING + '#include "request.h"\n')
            self.assertEqual(tidy.check(Path(folder)), [])

    def test_a_file_that_clang_format_would_change_is_found(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / ".clang-format").write_text((Path(__file__).parent.parent / ".clang-format").read_text())
            (root / "core").mkdir()
            (root / "core/good.c").write_text("int a(void)\n{\n\treturn 1;\n}\n")
            (root / "core/bad.c").write_text("int a(void) {\n    return 1;\n}\n")
            found = tidy.check_layout(root, ["core/bad.c", "core/good.c"])
            self.assertTrue(found)
            self.assertEqual({finding.path for finding in found}, {"core/bad.c"})


class Embed(unittest.TestCase):
    def test_comments_go_and_texts_that_look_like_comments_stay(self) -> None:
        sql = "-- why\nselect '--not' /* nor\nthis */, \"a--b\" -- end\n\nfrom t;\n"
        self.assertEqual(embed.sql_bare(sql), "select '--not' , \"a--b\"\nfrom t;")

    def test_a_literal_is_the_text_when_c_reads_it(self) -> None:
        text = 'a "quoted" back\\slash ??= trigraph\n\ttab, é\n' + "x" * 250 + "\n\n1"
        with tempfile.TemporaryDirectory() as folder:
            source, program = Path(folder) / "a.c", Path(folder) / "a"
            source.write_text(f'#include <stdio.h>\nint main(void)\n{{\n\tfputs({embed.c_literal(text, "")}, stdout);\n}}\n')
            subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-o", program, source], check=True)
            self.assertEqual(subprocess.run([program], check=True, capture_output=True).stdout.decode(), text)

    def test_a_gap_in_the_migrations_and_a_member_that_stands_twice_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "core/sql/schema").mkdir(parents=True)
            (root / "core/sql/schema/002_b.sql").write_text("select 1;")
            with self.assertRaisesRegex(SystemExit, "002_b.sql: migrations are numbered without a gap.*001_"):
                embed.schema_header(root)
            (root / "providers/a").mkdir(parents=True)
            (root / "providers/schema.json").write_text("{}")
            (root / "providers/a/provider.json").write_text('{"x": 1, "x": 2}')
            with self.assertRaisesRegex(SystemExit, "'x' stands twice"):
                embed.providers_header(root)


if __name__ == "__main__":
    unittest.main()
