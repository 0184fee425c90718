"""Does what docs/contributing-providers.md says, command by command, in a copy of the tree: a provider from nothing.

Run in the root of the tree: python3 core/tests/test_contributing.py. The page's `sh` blocks and its indented commands
are run in order, and each has to print the text below it. Then what was made is spoiled, to see that somebody would
notice. The page's other blocks are run by docs/run_blocks.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/contributing-providers.md"
COPIED = ("CMakeLists.txt", "VERSION", "core", "providers", "third_party", "tools")
NAME = "papermill"
PART = re.compile(r"^```(\w+)\n(.*?)^```\n|^((?: {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
OUTLINE = "    providers/NAME/"  # indented, too, but no command


def steps(page: str) -> Iterator[tuple[str, str | None]]:
    """Each command of the page with the text that it must print; None where the page shows none."""
    found = list(PART.finditer(page))
    for i, part in enumerate(found):
        language, code, indented = part.groups()
        if language not in ("sh", None) or (indented or "").startswith(OUTLINE):
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        shown = after is not None and after.group(1) == "text" and not page[part.end() : after.start()].strip()
        yield code or re.sub("^ {4}", "", indented, flags=re.MULTILINE), after.group(2) if shown else None


def looks_like(output: str, shown: str) -> bool:
    got, wanted = ("\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (output, shown))
    return bool(re.fullmatch(".*?".join(map(re.escape, wanted.split("..."))), got, re.DOTALL))


class Contributing(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="knocker-contributing-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = Path(cls.folder.name)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, cls.root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, cls.root / name)
        (cls.root / "docs").mkdir()
        cls.done("cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Debug")
        cls.printed = [(code, shown, cls.done(code)) for code, shown in steps(PAGE.read_text(encoding="utf-8"))]

    @classmethod
    def run_code(cls, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", code],
            cwd=cls.root,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    @classmethod
    def done(cls, code: str) -> str:
        done = cls.run_code(code)
        if done.returncode:
            raise AssertionError(f"{code}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def changed(self, path: str, before: str, after: str) -> None:
        """Changes a file of the copy for as long as the test runs."""
        text = self.read(path)
        self.assertIn(before, text)
        (self.root / path).write_text(text.replace(before, after, 1), encoding="utf-8")
        self.addCleanup((self.root / path).write_text, text, encoding="utf-8")

    def play(self) -> subprocess.CompletedProcess[str]:
        self.done("cmake --build build --target test_vectors")
        return self.run_code("build/tests/test_vectors")

    def test_the_page_has_its_commands_and_each_prints_what_it_shows(self) -> None:
        codes = "".join(code for code, _, _ in self.printed)
        for tool in ("provider.json", "make.py", "embed.py", "fixtures.py", "test_vectors", "provider_pages.py"):
            self.assertIn(tool, codes)
        self.assertGreaterEqual(sum(shown is not None for _, shown, _ in self.printed), 4)
        for code, shown, output in self.printed:
            if shown is not None:
                self.assertTrue(looks_like(output, shown), f"{code}\nprinted\n{output}\nand the page shows\n{shown}")

    def test_each_request_that_was_made_is_played(self) -> None:
        made = json.loads(self.read(f"providers/{NAME}/fixtures/made.json"))
        valid = [request["expect_valid"] for request in made]
        self.assertGreaterEqual(valid.count(True), 6)
        self.assertGreaterEqual(valid.count(False), 9)
        files = self.root.glob("providers/*/fixtures/*.json")
        everything = sum(len(json.loads(path.read_text(encoding="utf-8"))) for path in files)
        self.assertIn(f"vectors: {everything} played, {everything} passed, 0 failed", self.play().stdout)

    def test_the_page_counts_the_requests_right(self) -> None:
        made = json.loads(self.read(f"providers/{NAME}/fixtures/made.json"))
        text = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
        told = re.search(r"beside the (\w+) of `extra`: (.*?)\.", text)
        self.assertEqual(told.group(1), "four")
        self.assertEqual(len(made), 4 + len(re.split("[;,] a |[;,] the |; ", told.group(2))))

    def test_a_verdict_that_is_not_so_is_found_and_named(self) -> None:
        self.changed(f"providers/{NAME}/fixtures/made.json", '"expect_valid": false', '"expect_valid": true')
        done = self.play()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{NAME}-made-", done.stdout)

    def test_a_scheme_that_signs_something_else_is_found(self) -> None:
        self.changed(f"providers/{NAME}/provider.json", '"{t}.{body}"', '"{t}:{body}"')
        done = self.play()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{NAME}-made-01: valid 0 (signature does not match)", done.stdout)

    def test_a_key_that_two_events_share_is_found(self) -> None:
        self.changed(f"providers/{NAME}/provider.json", '"dedupe": ["{event_id}"]', '"dedupe": ["{json:sheet.id}"]')
        done = self.play()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("dedupe s-7", done.stdout)

    def test_a_recipe_that_loses_events_is_refused(self) -> None:
        self.changed(f"providers/{NAME}/fixtures/make.py", '(body, "event.id")', '(body, "sheet.id")')
        done = self.run_code(f"{sys.executable} tools/fixtures.py --check {NAME}")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("two events have one dedupe key: s-7", done.stdout)

    def test_a_folder_that_lacks_a_member_does_not_build(self) -> None:
        self.changed(f"providers/{NAME}/provider.json", '"dedupe_reason"', '"dedupe_why"')
        done = self.run_code("cmake --build build --target test_vectors")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"providers/{NAME}: dedupe_reason is missing", done.stdout)

    def test_the_generated_page_is_the_folders(self) -> None:
        page = self.read(f"docs/providers/{NAME}.md")
        for text in ("# Papermill", "`header:x-papermill-signature`", "300 s", "The event's id is the same"):
            self.assertIn(text, page)
        self.assertIn(f"[{NAME}]({NAME}.md)", self.read("docs/providers/README.md"))
        self.done(f"{sys.executable} tools/provider_pages.py . --check")


if __name__ == "__main__":
    unittest.main()
