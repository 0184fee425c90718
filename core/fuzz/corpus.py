"""Makes the inputs from which fuzzing starts, and the dictionaries, out of the providers' folders.

Usage: corpus.py FOLDER. Writes FOLDER/TARGET/* and FOLDER/TARGET.dict. They are made at each build, so that a new
provider is fuzzed from its first day. What no provider needs, and what once went wrong, stands in core/fuzz/corpus/.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARK = b"\x1e"
ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("body", "codec", "form", "headers", "jwt", "scheme", "verify")
WORD_MAX = 64  # libFuzzer takes no longer ones

# Claims that the target's own scheme takes: the hash is that of the body {}.
CLAIMS = json.dumps({"jti": "a", "a": {"b": "c"}, "exp": 1700000100, "nbf": 1699999990,
                     "hash": hashlib.sha256(b"{}").hexdigest()}).encode()  # fmt: skip
TOKEN_WORDS = "alg kid crit typ HS256 HS384 HS512 RS256 ES256 none exp nbf jti hash iat".split()
KEY_WORDS = "kty RSA EC OKP crv P-256 Ed25519 x y n e d use sig keys AQAB".split()
KEY_ARMOUR = ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"]
JSON_WORDS = ["\\u0041", "\\ud83d\\ude00", "\\u0000", *'{ } [ ] : , " true false null -0 1e9'.split()]
FORM_WORDS = ["&", "=", "+", "%20", "%00", "%3A", "%2F", "?", "#", "https://", "http://", ":443", ":80", "@"]
MARKS = ["\x1e", "\n", ": "]


def text_bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "surrogateescape")


def body_of(vector: dict[str, Any]) -> bytes:
    if "body_b64" in vector:
        return base64.b64decode(vector["body_b64"])
    return text_bytes(vector.get("body"))


def secrets_of(vector: dict[str, Any]) -> bytes:
    secret = vector.get("secret")
    listed = secret if isinstance(secret, list) else [secret]
    return json.dumps([one for one in listed if one is not None]).encode()


def headers_of(vector: dict[str, Any]) -> bytes:
    lines = []
    for name, value in (vector.get("headers") or {}).items():
        lines += [f"{name}: {one}\n" for one in (value if isinstance(value, list) else [value])]
    return text_bytes("".join(lines))


def paths_of(node: Any) -> Iterator[str]:
    """The paths that a scheme asks a body for."""
    if isinstance(node, str):
        for piece in node.replace("{", " ").replace("}", " ").split():
            _, found, path = piece.partition("json:")
            if found:
                yield path.split(":")[0]
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from paths_of(child)


def words_of(node: Any) -> Iterator[str]:
    """The names and texts of a scheme."""
    if isinstance(node, str):
        yield node
    if isinstance(node, dict):
        yield from node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from words_of(child)


class Corpus:
    def __init__(self) -> None:
        self.inputs: dict[str, set[bytes]] = {target: set() for target in TARGETS}
        self.words: dict[str, set[str]] = {target: set(MARKS) for target in TARGETS}

    def add(self, target: str, *fields: bytes) -> None:
        self.inputs[target].add(MARK.join(fields))

    def vector(self, scheme: dict[str, Any], vector: dict[str, Any]) -> None:
        headers, body = headers_of(vector), body_of(vector)
        options = json.dumps(vector.get("options") or {}).encode()
        url = text_bytes(vector.get("url"))
        query = url.partition(b"?")[2]
        name = vector["scheme"].encode()
        now = str(vector.get("now_s", 1714000000)).encode()
        secrets = secrets_of(vector)
        paths = "\n".join(sorted(set(paths_of(scheme))) or ["id"]).encode()
        self.add("verify", name, text_bytes(vector.get("method")), secrets, options, now, headers, query, body)
        self.add("headers", name, headers)
        self.add("body", paths, body)
        self.add("form", url or b"https://example.test/hook", query, body)
        self.words["headers"].update(vector.get("headers") or {})
        for value in (vector.get("headers") or {}).values():
            for one in value if isinstance(value, list) else [value]:
                self.add("codec", text_bytes(one))
                for piece in text_bytes(one).replace(b";", b",").replace(b" ", b",").split(b","):
                    self.add("codec", piece.partition(b"=")[2] or piece)
                self.token(scheme, vector, one.split()[-1] if one.strip() else "")

    def token(self, scheme: dict[str, Any], vector: dict[str, Any], text: str) -> None:
        """Tokens, and public keys, which no one but the target for tokens reads by itself."""
        pieces = [unpadded(piece) for piece in text.split(".")[:2]] if text.count(".") == 2 else []
        if not pieces and scheme.get("kind") in ("hmac", "token", "basic"):
            return
        secret = vector.get("secret")
        secret = secret[0] if isinstance(secret, list) and secret else secret
        header, claims = pieces or [b'{"alg":"HS256"}', CLAIMS]
        self.add("jwt", text_bytes(secret), header, claims, b"id=1", text_bytes(text))

    def provider(self, folder: Path) -> None:
        description = json.loads((folder / "provider.json").read_text())
        scheme = description["scheme"]
        vectors = [v for file in sorted((folder / "fixtures").glob("*.json")) for v in json.loads(file.read_text())]
        for vector in vectors:
            self.vector(scheme, vector)
        first = next((v for v in vectors if v.get("expect_valid")), {})
        options = json.dumps(first.get("options") or {}).encode()
        text = json.dumps(scheme).encode()
        self.add("scheme", text, secrets_of(first), options, headers_of(first), b"", body_of(first))
        self.words["scheme"].update(words_of(scheme))
        self.words["verify"].update([description["name"], *words_of(scheme)])
        self.words["headers"].add(description["name"])
        self.words["body"].update(paths_of(scheme))

    def write(self, folder: Path) -> None:
        self.words["body"].update(JSON_WORDS)
        self.words["scheme"].update(JSON_WORDS)
        self.words["verify"].update([*JSON_WORDS, *FORM_WORDS, *self.words["headers"]])
        self.words["form"].update(FORM_WORDS)
        self.words["jwt"].update([*JSON_WORDS, *TOKEN_WORDS, *KEY_WORDS, *KEY_ARMOUR])
        self.add("jwt", b"s", b'{"alg":"HS256"}', CLAIMS, b"id=1", b"a.b.c")
        self.add("codec", b"2024-04-24T23:06:40.123456789+02:00")
        for target in TARGETS:
            made = folder / target
            made.mkdir(parents=True, exist_ok=True)
            for data in self.inputs[target]:
                (made / hashlib.sha1(data).hexdigest()).write_bytes(data)
            lines = [f'"{escaped(w)}"\n' for w in sorted(self.words[target]) if 0 < len(w.encode()) <= WORD_MAX]
            (folder / f"{target}.dict").write_text("".join(lines))


def unpadded(text: str) -> bytes:
    """Empty where it is no base64url: a fixture may be wrong on purpose."""
    try:
        return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except ValueError:
        return b""


def escaped(word: str) -> str:
    plain = (chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\' else f"\\x{b:02X}" for b in word.encode())
    return "".join(plain)


def main() -> None:
    corpus = Corpus()
    for file in sorted(ROOT.glob("providers/*/provider.json")):
        corpus.provider(file.parent)
    corpus.write(Path(sys.argv[1]))
    print(", ".join(f"{target}: {len(corpus.inputs[target])}" for target in TARGETS))


if __name__ == "__main__":
    main()
