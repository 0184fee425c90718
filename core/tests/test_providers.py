"""The folders of providers: what the build refuses, and what every folder has to bring along.

Run in the root of the tree: python3 core/tests/test_providers.py. Verdicts are not judged here: test_vectors does.
"""

import copy
import json
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
        self.assertEqual(marked - set(CURATED), set())


if __name__ == "__main__":
    unittest.main()
