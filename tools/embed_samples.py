"""Turns providers/*/samples/*.json into the header that `knocker emulate` sends from, so that it needs no files.

Usage: embed_samples.py ROOT OUT. A sample is {"event_type": TEXT, "headers": {NAME: TEXT}, "query": TEXT, "body": BODY};
of these only body is required: an object is sent as JSON, a text as it is. {{...}} in any text is a placeholder, which the
command fills in for each request; a JSON text that is wholly "{{#...}}" becomes a number; {{signature}} stands where the
provider has it in the body. Each provider also gets a body
without a sample, made of what its scheme reads, for the types that no sample shows. Knows no provider by name.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from embed import PEDANTRY_OFF, PEDANTRY_ON, c_literal, header, refuse, write

PLACEHOLDER = re.compile(
    r"(id|uuid|time|time_ms|time_iso|event|number|signature|(hex|digits):[1-9][0-9]?)(:[a-z_]+)?"
)
MEMBERS = {"event_type", "headers", "query", "body"}
SOURCE = re.compile(r"(header|json|form|query|j):([^}]+)")
TIMES = {"s": "{{#time}}", "ms": "{{#time_ms}}", "rfc3339": "{{time_iso}}", "rfc3339-or-s": "{{time_iso}}"}
FORM = "application/x-www-form-urlencoded"


def read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        refuse(f"{path}: {error}")


def compact(body: Any) -> str:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r'"\{\{#([^{}"]*)\}\}"', r"{{\1}}", text)


def check(path: Path, texts: list[str]) -> None:
    for text in texts:
        for name in re.findall(r"\{\{(.*?)\}\}", text):
            if not PLACEHOLDER.fullmatch(name):
                refuse(f"{path}: there is no placeholder '{{{{{name}}}}}'")


def row(
    provider: str, event_type: str | None, headers: dict[str, str], query: str | None, body: str, signer: str | None
) -> str:
    def literal(text: str | None) -> str:
        return "NULL" if text is None else c_literal(text, "\t\t")

    lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
    parts = [literal(provider), literal(event_type), literal(lines), literal(query), literal(body), literal(signer)]
    return "\t{" + ",\n\t\t".join(parts) + "},\n"


def sample_row(provider: str, path: Path, signer: str | None) -> str:
    sample = read(path)
    if not isinstance(sample, dict) or "body" not in sample or not set(sample) <= MEMBERS:
        refuse(f"{path}: a sample is an object with body and, where wanted, event_type, headers and query")
    headers = {"content-type": "application/json", **sample.get("headers", {})}
    body = sample["body"] if isinstance(sample["body"], str) else compact(sample["body"])
    query = sample.get("query")
    check(path, [*headers.values(), query or "", body])
    return row(provider, sample.get("event_type", path.stem), headers, query, body, signer)


def base_of(scheme: dict[str, Any]) -> str:
    """Where the one item of a batch stands."""
    bases = scheme.get("base", "")
    return str(bases[0] if isinstance(bases, list) else bases).replace("*", "0")


def signer_of(scheme: dict[str, Any]) -> str | None:
    """Of a scheme whose signature stands in the body: one that signs the same into a header, so that it can be had."""
    first = scheme["sig"]["from"][0]
    if first.startswith("header"):
        return None
    bare = {name: value for name, value in scheme.items() if name not in ("base", "handshake", "extends")}
    bare["sig"] = {**scheme["sig"], "from": ["header:x-signature"]}
    base = base_of(scheme)
    return re.sub(r"(?<![a-z])j:", f"json:{base}." if base else "json:", compact(bare))


class Generic:
    """A request that has a text wherever the scheme reads one."""

    def __init__(self, scheme: dict[str, Any]) -> None:
        self.scheme = scheme
        self.base = base_of(scheme)
        self.headers: dict[str, str] = {}
        self.query: dict[str, str] = {}
        self.form: dict[str, str] = {}
        self.body: Any = {}

    def put(self, source: str, value: str) -> None:
        kind, _, name = source.partition(":")
        name = name.replace("{family}", (self.scheme.get("families") or [""])[0])
        options = self.scheme.get("options", {})
        name = re.sub(r"\{option:(\w+)\}", lambda m: str(options.get(m[1], {}).get("default", m[1])), name)
        if kind == "join":
            pieces = source.split(":")[2:]
            for at in range(0, len(pieces) - 1, 2):
                self.put(":".join(pieces[at : at + 2]), value if at == 0 else "created")
        elif kind == "header":
            self.headers.setdefault(name.lower(), value.replace("#", ""))
        elif kind == "query":
            self.query.setdefault(name, value.replace("#", ""))
        elif kind == "form":
            self.form.setdefault(name, value.replace("#", ""))
        elif kind in ("json", "j") and name != "$":
            self.member([*(self.base.split(".") if kind == "j" and self.base else []), *name.split(".")], value)

    def member(self, path: list[str], value: str) -> None:
        """Puts a value where the path leads, unless something stands there or on the way."""
        if not self.body and path[0].isdigit():
            self.body = []
        at = self.body
        for step, following in zip(path, [*path[1:], None], strict=True):
            index = step in ("*",) or step.isdigit()
            if index != isinstance(at, list):
                return
            fresh: Any = value if following is None else [] if following == "*" or following.isdigit() else {}
            if isinstance(at, list):
                if not at:
                    at.append(fresh)
                at = at[0]
            else:
                at = at.setdefault(step, fresh)
            if following is not None and not isinstance(at, (dict, list)):
                return

    def fill(self) -> None:
        extract = self.scheme.get("extract", {})
        if signer_of(self.scheme):
            self.put(self.scheme["sig"]["from"][0], "{{signature}}")
        for var in self.scheme.get("vars", {}).values():
            first = var["from"][0]
            if not first.startswith(("header:", "sig")):
                self.put(first, TIMES.get(var.get("unit", ""), "{{id:var}}"))
        for source in extract.get("event_type", [])[:1]:
            self.put(source, "{{event}}")
        for source in extract.get("event_id", [])[:1]:
            self.put(source, "{{id}}")
        for source in extract.get("delivery_id", [])[:1]:
            self.put(source, "{{uuid}}")
        self.templates(extract.get("dedupe", [])[:1])
        self.templates(self.scheme.get("signed", []))
        first = self.body[0] if isinstance(self.body, list) else self.body
        if isinstance(first, dict):
            first.setdefault("data", {"number": "{{#digits:6:number}}", "at": "{{time_iso}}", "id": "{{uuid:data}}"})

    def templates(self, texts: list[Any]) -> None:
        for text in texts:
            if not isinstance(text, str):
                continue
            each = re.match(r"each:([^:]+):", text)
            if each:
                for member in re.findall(r"\{([a-zA-Z_][\w.]*)\}", text):
                    self.put(f"json:{each[1]}.0.{member}", "{{id:" + re.sub("[^a-z]+", "_", member.lower()) + "}}")
                continue
            for found in SOURCE.finditer(text):
                self.put(found[0], "{{id:" + re.sub("[^a-z]+", "_", found[2].lower()) + "}}")

    def row(self, provider: str) -> str:
        self.fill()
        query = "&".join(f"{name}={value}" for name, value in self.query.items()) or None
        headers = {"content-type": "application/json", **self.headers}
        body = compact(self.body)
        if self.form and set(self.body) <= {"data"}:
            headers["content-type"] = FORM
            body = "&".join(f"{urllib.parse.quote(name)}={value}" for name, value in self.form.items())
        return row(provider, None, headers, query, body, signer_of(self.scheme))


def whole(scheme: dict[str, Any], schemes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    base = schemes.get(scheme.get("extends", ""))
    return {**whole(base, schemes), **scheme} if base else scheme


def samples_header(root: Path) -> str:
    folders = {path.parent.name: read(path) for path in sorted((root / "providers").glob("*/provider.json"))}
    schemes = {name: folder["scheme"] for name, folder in folders.items()}
    aliases, rows = [], []
    for name, folder in folders.items():
        aliases += [f'\t{{"{alias}", "{name}"}},\n' for alias in folder.get("aliases", [])]
        scheme = whole(schemes[name], schemes)
        paths = sorted((root / "providers" / name / "samples").glob("*.json"))
        rows += [sample_row(name, path, signer_of(scheme)) for path in paths]
        rows.append(Generic(scheme).row(name))
    body = (
        f"{PEDANTRY_OFF}static const sample samples_embedded[] = {{\n{''.join(rows)}}};\n{PEDANTRY_ON}\n"
        f"static const struct {{\n\tconst char *alias, *provider;\n}} sample_aliases[] = {{\n"
        f"{''.join(aliases)}\t{{NULL, NULL}},\n}};\n"
    )
    return header("KNOCKER_SAMPLES_H", "the samples of the providers, and a generic one of each.", body).replace(
        "tools/embed.py", "tools/embed_samples.py"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: embed_samples.py ROOT OUT")
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    write(Path(sys.argv[2]) / "samples.h", samples_header(Path(sys.argv[1])))
