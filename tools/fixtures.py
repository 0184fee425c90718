"""Makes requests with verdicts for the folders of providers, by other means than the core's.

Usage: fixtures.py [--check] [NAME...]. A recipe, providers/NAME/fixtures/make.py, says how its sender signs and what its
requests are known by; this makes the requests that each sender needs (valid, forged, retried, rotated, late ...) and writes
them to made.json beside the recipe, and the first three of each (an event, the same again, another about the same object) to
conformance/scenarios/object-events-*.json. --check writes nothing and says what is not as it would be made. In vectors.json, whose
requests are other people's, it fills in what a valid request says of its identity.

A recipe has: SECRET; SIGNATURE, the header it stands in (None: elsewhere); sign(body, secret, at, n), the headers of the n-th
delivery, or the headers and the body; BODIES, two events about one object; identity(headers, body, query), the event type,
event id, delivery id and dedupe key. It may have: OPTIONS, METHOD, URL, WINDOW (seconds), SIGNS_BODY, REPEATS (False: nothing
tells a retry), SECRETS (more of the same kind), extra(make).
"""

import base64
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
AT = 1714000000
SOURCE = "made with Python's own hmac, hashlib and base64, by tools/fixtures.py"
NAMES = ("expect_event_type", "expect_event_id", "expect_delivery_id", "expect_dedupe_key")
OTHER = "another-secret-that-is-nobodys"


class Maker:
    """The requests of one sender, in the order they are asked for."""

    def __init__(self, name: str, recipe: ModuleType) -> None:
        self.name, self.recipe, self.made = name, recipe, []

    def get(self, name: str, otherwise: object = None) -> object:
        return getattr(self.recipe, name, otherwise)

    @property
    def other(self) -> str:
        return self.get("OTHER", OTHER)

    def signed(self, body: bytes, secret: str, at: int = AT, n: int = 1) -> tuple[dict[str, str], bytes]:
        made = self.recipe.sign(body, secret, at, n)
        return made if isinstance(made, tuple) else (made, body)

    def add(self, why: str, headers: dict[str, str], body: bytes, valid: bool, **more: object) -> dict[str, object]:
        """One request; `more` overrides any of its members."""
        vector = {
            "id": f"{self.name}-made-{len(self.made) + 1:02d}",
            "provider": self.name,
            "kind": "made",
            "source": SOURCE,
            "scheme": self.name,
            "secret": self.recipe.SECRET,
            "options": self.get("OPTIONS", {}),
            "method": self.get("METHOD", "POST"),
            "url": self.get("URL"),
            "headers": headers,
            **body_members(body),
            "now_s": AT,
            "expect_valid": valid,
            "why": why,
        } | more
        if valid:
            vector |= {k: v for k, v in identity(self.recipe, vector).items() if k not in more}
        self.made.append(vector)
        return vector

    def sent(self, why: str, body: bytes, valid: bool = True, secret: str | None = None, at: int = AT, n: int = 1, **more: object) -> dict:
        headers, body = self.signed(body, secret or self.recipe.SECRET, at, n)
        return self.add(why, headers, body, valid, **more)


def body_members(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"body_b64": base64.b64encode(body).decode()}


def identity(recipe: ModuleType, vector: dict[str, object]) -> dict[str, object]:
    headers = {name.lower(): value.strip() for name, value in vector["headers"].items()}
    body = base64.b64decode(vector["body_b64"]) if "body_b64" in vector else vector["body"].encode()
    _, _, query = (vector["url"] or "").partition("?")
    found = dict(zip(NAMES, recipe.identity(headers, body, query), strict=True))
    if vector.get("expect_handshake"):
        found["expect_dedupe_key"] = None
    return found


def miscoded(value: str) -> str:
    """The same digest in another encoding: hex as base64, and the other way round."""
    digits = re.search(r"[0-9a-f]{40,}", value)
    if digits:
        return value.replace(digits.group(), base64.b64encode(bytes.fromhex(digits.group())).decode())
    found = max(re.findall(r"[A-Za-z0-9+/]{20,}={0,2}", value), key=len)
    return value.replace(found, base64.b64decode(found).hex())


def tampered(body: bytes) -> bytes:
    """The body with its last letter or digit changed: still the same kind of text."""
    at = max(i for i, byte in enumerate(body) if chr(byte).isalnum())
    return body[:at] + (b"1" if body[at : at + 1] != b"1" else b"2") + body[at + 1 :]


def make_verdicts(m: Maker, body: bytes) -> None:
    """What has to be refused, and what has to pass though it looks odd."""
    headers, whole = m.signed(body, m.recipe.SECRET)
    if m.get("SIGNS_BODY", True):
        m.add("forged: the body was changed after it was signed", headers, tampered(whole), False)
    m.sent("forged: made with another secret", body, valid=False, secret=m.other)
    m.add("rotation: the second of two secrets", headers, whole, True, secret=[m.other, m.recipe.SECRET])
    name = m.get("SIGNATURE")
    if not name:
        return
    without = {k: v for k, v in headers.items() if k != name}
    m.add("no signature", without, whole, False)
    m.add("an empty signature", headers | {name: ""}, whole, False)
    m.add("the header's name in upper case", without | {name.upper(): headers[name]}, whole, True)
    if m.get("CODED", True):
        m.add("the digest in another encoding", headers | {name: miscoded(headers[name])}, whole, False)


def make_window(m: Maker, body: bytes) -> None:
    window = m.get("WINDOW")
    if window is None:
        return
    m.sent("as old as may be", body, now_s=AT + window)
    m.sent("stale: a second older than may be", body, valid=False, now_s=AT + window + 1)
    m.sent("a second further in the future than may be", body, valid=False, now_s=AT - window - 1)


def make(name: str, recipe: ModuleType) -> list[dict[str, object]]:
    m = Maker(name, recipe)
    first, second = recipe.BODIES[:2]
    one = m.sent("an event", first)
    again = m.sent("the same event, sent again later", m.get("RETRY", first), at=AT + 120, n=2, now_s=AT + 120)
    two = m.sent("another event about the same object", second, n=3)
    keys = [vector["expect_dedupe_key"] for vector in (one, again, two)]
    if m.get("REPEATS", True) and (keys[0] != keys[1] or keys[0] is None):
        sys.exit(f"fixtures: {name}: the retry has another dedupe key: {keys}")
    if keys[0] == keys[2] and keys[0] is not None:
        sys.exit(f"fixtures: {name}: two events have one dedupe key: {keys[0]}")
    make_verdicts(m, first)
    make_window(m, first)
    if hasattr(recipe, "extra"):
        recipe.extra(m)
    return m.made


def completed(vectors: list[dict[str, object]], recipe: ModuleType) -> list[dict[str, object]]:
    """Other people's requests: what they say themselves stays, and has to be what the recipe says."""
    for vector in vectors:
        if "recommended_dedupe_key" in vector:
            vector["expect_dedupe_key"] = vector.pop("recommended_dedupe_key")
        if not vector["expect_valid"]:
            continue
        for key, value in identity(recipe, vector).items():
            if vector.setdefault(key, value) != value:
                sys.exit(f"fixtures: {vector['id']} says {key} {vector[key]!r}; the recipe {value!r}")
    return vectors


def received(vector: dict[str, object], gives: dict[str, object]) -> dict[str, object]:
    body = vector["body"] if "body" in vector else {"base64": vector["body_b64"]}
    words = {"endpoint": vector["provider"], "method": vector["method"], "headers": vector["headers"], "body": body}
    _, _, query = (vector["url"] or "").partition("?")
    return {"do": "receive", "with": words | ({"query": query} if query else {}), "gives": gives}


def scenario(made: dict[str, list[dict[str, object]]]) -> str:
    """No event may be lost because another one was about the same object, and a retry is none, through every door."""
    names = list(made)
    steps: list[dict[str, object]] = [{"do": "open", "gives": {}}, {"do": "clock", "with": {"set": AT}, "gives": {}}]
    for name in names:
        one = made[name][0]
        words = {"name": name, "path": "/" + name, "provider": name, "secrets": [one["secret"]], "options": one["options"]}
        steps.append({"do": "endpoint", "with": words, "gives": {}})
    again = {name: made[name][1] for name in names}
    known = {n: v[0]["expect_dedupe_key"] is not None and v[0]["expect_dedupe_key"] == v[1]["expect_dedupe_key"] for n, v in made.items()}
    new = {"event_id": {"any": True}, "duplicate": False}
    for i, name in enumerate(names):
        steps.append(received(made[name][0], new | ({"event_id": f"$event{i}"} if known[name] else {})))
        steps.append(received(made[name][2], new))
    steps.append({"do": "clock", "with": {"add": 120}, "gives": {}})
    for i, name in enumerate(names):
        steps.append(received(again[name], {"event_id": f"$event{i}", "duplicate": True} if known[name] else new))
    events = sum(step["gives"].get("duplicate") is False for step in steps)
    steps.append({"do": "sql", "with": {"text": "select count(*) as n from knocker_events"}, "gives": [{"n": events}]})
    title = f"{', '.join(names)}: two events about one object are two, and one that is sent again is one"
    lines = ",\n".join("  " + json.dumps(step, ensure_ascii=False) for step in steps)
    covers = '["provider.events_of_one_object"]'
    return f'{{"title": {json.dumps(title)},\n "covers": {covers},\n "source": {json.dumps(SOURCE)},\n "steps": [\n{lines}\n]}}\n'


def scenarios(made: dict[str, list[dict[str, object]]]) -> dict[Path, str]:
    """One file for each letter that names begin with."""
    letters = sorted({name[0] for name in made})
    folder = ROOT / "conformance/scenarios"
    return {folder / f"object-events-{c}.json": scenario({n: v for n, v in made.items() if n[0] == c}) for c in letters}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(vectors: list[dict[str, object]]) -> str:
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


def main(words: list[str]) -> None:
    check, names = "--check" in words, [word for word in words if word != "--check"]
    wanted, made = {}, {}
    for path in sorted((ROOT / "providers").glob("*/fixtures/make.py")):
        name = path.parent.parent.name
        if names and name not in names:
            continue
        recipe = load(path)
        made[name] = make(name, recipe)
        wanted[path.with_name("made.json")] = text(made[name])
        others = path.with_name("vectors.json")
        if others.exists():
            wanted[others] = text(completed(json.loads(others.read_text(encoding="utf-8")), recipe))
    wanted |= {} if names else scenarios(made)
    stale = [file for file, content in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != content]
    for file in [] if check else stale:
        file.write_text(wanted[file], encoding="utf-8")
    print(f"fixtures: {len(made)} recipes, {len(stale)} files {'are not as they would be made' if check else 'written'}")
    if check and stale:
        sys.exit("\n".join(str(file.relative_to(ROOT)) for file in stale))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main(sys.argv[1:])
