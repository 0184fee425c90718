"""The folders of providers: what the build refuses, and what every folder has to bring along.

Run in the root of the tree: python3 core/tests/test_providers.py. Verdicts are not judged here: test_vectors does.
"""

import copy
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("providers/*/provider.json"))
CURATED = (
    "stripe github shopify slack postmark resend paddle lemon-squeezy standard-webhooks clerk twilio sendgrid linear meta "
    "discord zendesk intercom hubspot token-header bearer-token basic-auth"
).split()

GOOD = {
    "name": "acme",
    "version": "1.0.0",
    "title": "Acme",
    "curated": False,
    "aliases": ["acme-inc"],
    "sends": "Anvils that have been sold.",
    "documentation": "https://acme.example/webhooks",
    "sources": [{"url": "https://acme.example/webhooks", "says": "All of it is there."}],
    "evidence": "Read in the sender's own SDKs or documentation.",
    "dedupe_reason": "Acme repeats the id in each try.",
    "option_reasons": {"url": "Acme signs the address that it calls."},
    "scheme": {"kind": "token", "sig": {"from": ["header:x"]}, "options": {"url": {"type": "string"}}},
}

# What is changed (None: taken away), and what the refusal has to say.
WRONG = [
    ({"title": None}, "providers/acme: title is missing"),
    ({"titel": "Acme"}, "providers/acme: titel is no member it may have"),
    ({"title": 5}, "providers/acme: title is not a text"),
    ({"curated": "yes"}, "providers/acme: curated is not true or false"),
    ({"name": "acne"}, "providers/acme: name is 'acne'; it has to be the folder's"),
    ({"version": "1.0"}, "providers/acme: version does not look like"),
    ({"sends": "anvils"}, "providers/acme: sends is shorter than 12 characters: 'anvils'"),
    ({"sends": "Anvils that have been sold"}, "providers/acme: sends does not look like"),
    ({"documentation": "http://acme.example/"}, "providers/acme: documentation does not look like"),
    ({"sources": []}, "providers/acme: sources has fewer than 1 elements"),
    ({"sources": [{"url": "https://acme.example/"}]}, "providers/acme: sources[0].says is missing"),
    ({"evidence": "I think so."}, "providers/acme: evidence is none of the texts it may be: 'I think so.'"),
    ({"aliases": ["stripe"]}, "'stripe', which belongs to providers/stripe"),
    ({"option_reasons": {}}, "providers/acme: option_reasons lacks a reason for the option 'url'"),
    ({"scheme": {"kind": "token"}}, "providers/acme: option_reasons gives a reason for what is no option: 'url'"),
    ({"scheme": {"extends": "acne"}}, "providers/acme: scheme.extends names no other provider: 'acne'"),
    ({"scheme": []}, "providers/acme: scheme is not an object"),
]


def scheme(folder: Path) -> dict:
    """The folder's scheme, over the one that it extends."""
    own = json.loads((folder / "provider.json").read_text(encoding="utf-8"))["scheme"]
    return (scheme(folder.parent / own["extends"]) if "extends" in own else {}) | own


def requests(folder: Path) -> list[dict]:
    files = sorted((folder / "fixtures").glob("*.json"))
    return [vector for file in files for vector in json.loads(file.read_text(encoding="utf-8"))]


def embed(folders: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the build's step over a tree with these provider.json."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder, text in folders.items():
            (root / "providers" / folder).mkdir(parents=True)
            (root / "providers" / folder / "provider.json").write_text(text, encoding="utf-8")
        (root / "providers/schema.json").write_bytes((ROOT / "providers/schema.json").read_bytes())
        (root / "VERSION").write_text("1.0.0\n", encoding="utf-8")
        command = [sys.executable, ROOT / "tools/embed.py", root, root / "out"]
        return subprocess.run(command, capture_output=True, text=True)


class Build(unittest.TestCase):
    def test_a_right_folder_is_embedded_without_what_only_documents_need(self) -> None:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, ROOT / "tools/embed.py", ROOT, out]
            subprocess.run(command, check=True, capture_output=True)
            text = (Path(out) / "providers.h").read_text(encoding="utf-8")
        self.assertIn("stripe-signature", text)
        self.assertNotIn("dedupe_reason", text)
        self.assertEqual(embed({"acme": json.dumps(GOOD)}).stderr, "")

    def test_a_wrong_folder_is_refused_with_its_name_and_the_member(self) -> None:
        stripe = copy.deepcopy(GOOD) | {"name": "stripe", "aliases": []}
        for change, sentence in WRONG:
            with self.subTest(sentence):
                merged = {k: v for k, v in (GOOD | change).items() if v is not None}
                done = embed({"acme": json.dumps(merged), "stripe": json.dumps(stripe)})
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(sentence, done.stderr)

    def test_what_is_no_json_or_says_a_member_twice_is_refused(self) -> None:
        for text, sentence in (("{", "providers/acme"), ('{"name": "a", "name": "b"}', "'name' stands twice"), ("[]", "not a JSON object")):
            with self.subTest(text):
                done = embed({"acme": text})
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(sentence, done.stderr)


class Folders(unittest.TestCase):
    def test_the_names_that_every_language_promises_are_the_curated_ones(self) -> None:
        marked = {f.name for f in FOLDERS if json.loads((f / "provider.json").read_text(encoding="utf-8"))["curated"]}
        self.assertEqual(marked, set(CURATED))

    def test_each_has_requests_that_are_valid_and_requests_that_are_forged(self) -> None:
        for folder in FOLDERS:
            with self.subTest(folder.name):
                verdicts = {vector["expect_valid"] for vector in requests(folder)}
                self.assertEqual(verdicts, {True, False})

    def test_a_window_has_requests_at_its_edge_and_beyond(self) -> None:
        for folder in FOLDERS:
            if (window := scheme(folder).get("replay", {}).get("tolerance_s")) is None:
                continue
            with self.subTest(folder.name):
                whys = {vector.get("why") for vector in requests(folder)}
                self.assertLessEqual({"as old as may be", "stale: a second older than may be"}, whys, window)

    def test_a_handshake_has_a_request_that_it_answers(self) -> None:
        for folder in FOLDERS:
            if scheme(folder).get("handshake"):
                with self.subTest(folder.name):
                    self.assertTrue(any(vector.get("expect_handshake") for vector in requests(folder)))

    def test_who_wants_a_200_gets_one(self) -> None:
        for folder in FOLDERS:
            answer = json.loads((folder / "provider.json").read_text(encoding="utf-8")).get("answer", "")
            if re.match(r"A 200(?! to |, \d| or \d)", answer):
                with self.subTest(folder.name):
                    self.assertEqual(scheme(folder).get("accept", {}).get("status"), 200)

    def test_each_has_a_page_and_each_page_a_folder(self) -> None:
        pages = {page.stem for page in ROOT.glob("docs/providers/*.md")} - {"README"}
        self.assertEqual(pages, {folder.name for folder in FOLDERS})

    def test_who_cannot_be_verified_has_no_folder_and_a_reason(self) -> None:
        document = (ROOT / "docs/cannot-verify.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|(.*)\|$", document, re.MULTILINE)
        self.assertGreaterEqual(len(rows), 4)
        self.assertLessEqual({"mailchimp", "mollie-classic"}, {name for name, _, _ in rows})
        known = {folder.name for folder in FOLDERS}
        for folder in FOLDERS:
            known.update(json.loads((folder / "provider.json").read_text(encoding="utf-8"))["aliases"])
        for name, sender, reason in rows:
            with self.subTest(name):
                self.assertNotIn(name, known)
                self.assertTrue(sender.strip())
                self.assertRegex(reason.strip(), r"^[A-Z].{20,}[.]$")

    def test_who_is_verified_in_part_has_a_folder(self) -> None:
        document = (ROOT / "docs/cannot-verify.md").read_text(encoding="utf-8")
        names = re.findall(r"\]\(providers/([a-z0-9-]+)[.]md\)", document)
        self.assertTrue(names)
        self.assertLessEqual(set(names), {folder.name for folder in FOLDERS})

    def test_a_secret_of_a_fixture_is_nobodys(self) -> None:
        """Real ones have such beginnings and go on at random; ours say words, or were published by their senders."""
        for folder in FOLDERS:
            made = json.loads((folder / "fixtures/made.json").read_text(encoding="utf-8"))
            for secret in {str(vector["secret"]) for vector in made}:
                with self.subTest(folder.name):
                    self.assertNotRegex(secret, r"(sk|rk)_live_|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY")

    def test_the_fixtures_are_as_their_recipes_make_them(self) -> None:
        done = subprocess.run([sys.executable, ROOT / "tools/fixtures.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
