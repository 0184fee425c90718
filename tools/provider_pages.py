"""Writes docs/providers/: a page for each provider, made from its folder, and a list of them.

Usage: provider_pages.py ROOT [--check]. With --check nothing is written, and pages that are not what would be written are
named. Knows the members of a scheme (docs/schemes.md), but no provider.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

Provider = dict[str, Any]

KINDS = {
    "hmac": "HMAC",
    "hash": "a hash over secret and text",
    "ed25519": "Ed25519",
    "ecdsa-p256": "ECDSA on P-256 with SHA-256",
    "rsa-pkcs1": "RSA, PKCS #1 v1.5",
    "token": "a shared token, compared in constant time; the body is not signed",
    "basic": "HTTP Basic; the body is not signed",
    "jwt": "a JSON Web Token",
}
KEYS = {
    "utf8": "the secret's text as it is",
    "hex": "the bytes that the secret's hexadecimal digits stand for",
    "base64": "the bytes that the secret's base64 stands for",
    "base64-or-raw": "the bytes that the secret's base64 stands for; without the prefix its text, too",
    "pem-or-spki-b64": "a public key, as PEM or as base64 of its DER form",
    "jwks": "a JWK, or a JWKS: the set of them as JSON",
}
UNITS = {
    "s": "Unix seconds",
    "ms": "Unix milliseconds",
    "rfc3339": "RFC 3339",
    "rfc3339-or-s": "RFC 3339 or Unix seconds",
}
IDS = (
    ("event_type", "Event type"),
    ("event_id", "Event id"),
    ("delivery_id", "Delivery id"),
)


def providers_read(root: Path) -> list[Provider]:
    paths = sorted((root / "providers").glob("*/provider.json"), key=lambda p: p.parent.name)
    providers = [json.loads(path.read_text()) for path in paths]
    by_name = {p["name"]: p for p in providers}
    for provider in providers:
        provider["whole"] = scheme_whole(by_name, provider["scheme"])
    return providers


def scheme_whole(by_name: dict[str, Provider], scheme: dict[str, Any]) -> dict[str, Any]:
    """The scheme with what it takes over from the one that it extends."""
    if "extends" not in scheme:
        return scheme
    return scheme_whole(by_name, by_name[scheme["extends"]]["scheme"]) | scheme


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def codes(texts: list[str]) -> str:
    return ", else ".join(code(text) for text in texts)


def table_row(label: str, text: str) -> str:
    return f"| {label} | {text.replace('|', chr(92) + '|')} |"


def algorithm(scheme: dict[str, Any]) -> str:
    kind = KINDS[scheme["kind"]]
    alg = scheme.get("alg")
    if isinstance(alg, dict):
        return f"{kind}; the algorithm stands in {codes(alg['from'])}"
    if alg == "auto":
        return f"{kind}; the signature begins with the algorithm's name"
    if "jwt" in scheme:
        return f"{kind}, {' or '.join(scheme['jwt']['algs'])}"
    return f"{kind} with {alg.upper()}" if alg else kind


def key(scheme: dict[str, Any]) -> str:
    rule = scheme.get("key", {})
    text = KEYS[rule.get("decode", "utf8")]
    if "strip" in rule:
        text += f", after the prefix {code(rule['strip'])}"
    if rule.get("derive"):
        text += f"; the key is its {rule['derive'].upper()}"
    for other in scheme.get("alt", []):
        text += f". One that begins with {code(other['key']['strip'])} is for {KINDS[other['kind']]}"
    return text


def signature(scheme: dict[str, Any]) -> str:
    sig = scheme["sig"]
    text = " and ".join(code(source) for source in sig["from"])
    if "pick" in sig:
        text += f", the value of {' or '.join(code(name) for name in sig['pick'])}"
    if "prefix" in sig:
        text += f", after {code(sig['prefix'])}"
    return text + (f", in {sig['enc']}" if "enc" in sig else "")


def tolerance(scheme: dict[str, Any]) -> str:
    replay = scheme.get("replay")
    if not replay:
        return "none"
    variable = scheme["vars"][replay["var"]]
    stands = f"{codes(variable['from'])}, {UNITS[variable.get('unit', 's')]}"
    if replay.get("tolerance_s") is None:
        return f"off unless the option `tolerance_s` is given; the time is {stands}"
    return f"{replay['tolerance_s']} s in the past and in the future; the time is {stands}"


def rows(scheme: dict[str, Any]) -> list[str]:
    extract = scheme["extract"]
    lines = [table_row("Verified by", algorithm(scheme)), table_row("Signature in", signature(scheme))]
    if scheme["kind"] not in ("token", "basic"):
        lines.append(table_row("Key", key(scheme)))
    if "signed" in scheme:
        lines.append(table_row("Signed", " or ".join(code(text) for text in scheme["signed"])))
    if scheme["kind"] not in ("token", "basic"):
        lines.append(table_row("Tolerance", tolerance(scheme)))
    for member, label in IDS:
        lines.append(table_row(label, codes(extract[member]) if extract.get(member) else "none"))
    lines.append(table_row("Dedupe key", codes(extract["dedupe"]) if extract.get("dedupe") else "none"))
    return lines


def handshake(rule: dict[str, Any]) -> str:
    when = ", ".join(
        f"{code(source)} is {'anything' if value == '*' else 'absent' if value is None else code(json.dumps(value))}"
        for source, value in rule["when"].items()
    )
    signed = "after its signature passed" if rule["signed"] else "without a signature"
    stores = f" and {code(rule['store_secret'])} is stored as the secret" if "store_secret" in rule else ""
    body = rule["respond"].get("body")
    answer = f" and {code(body if isinstance(body, str) else json.dumps(body))}" if body else ""
    return f"- Where {when}: answered {signed} with {rule['respond']['status']}{answer}{stores}."


def options(provider: Provider) -> list[str]:
    known = provider["whole"].get("options", {})
    if not known:
        return []
    lines = ["", "## Options", "", "| option | type | default | |", "|---|---|---|---|"]
    for name, rule in known.items():
        default = "required" if rule.get("required") else code(json.dumps(rule.get("default"))) if "default" in rule else ""
        reason = provider.get("option_reasons", {}).get(name, "")
        lines.append(f"| `{name}` | {rule['type']} | {default} | {reason} |")
    return lines


def wrapped(line: str) -> str:
    """Prose of at most 120 columns; a table's row is one line."""
    if line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def page(provider: Provider) -> str:
    scheme = provider["whole"]
    name = provider["name"]
    lines = [f"# {provider['title']}", "", provider["sends"]]
    names = ", ".join(code(n) for n in [name, *provider["aliases"]])
    lines += ["", f"Provider {names}, version {provider['version']}. {provider['evidence']}"]
    lines += provider.get("unconfirmed", [])
    lines += [provider["secret"]] if "secret" in provider else []
    lines += ["", "| | |", "|---|---|", *rows(scheme)]
    lines += ["", "## Dedupe", "", provider["dedupe_reason"], *options(provider)]
    if scheme.get("handshake"):
        lines += ["", "## Handshakes", "", *[handshake(rule) for rule in scheme["handshake"]]]
    if "answer" in provider:
        lines += ["", "## Answer", "", provider["answer"]]
    lines += ["", "## To test it", ""]
    lines += [f"- `knocker emulate {name} --to URL` sends requests that are signed so, duplicates and forgeries among them."]
    lines += [f"- `knocker verify {name}` says of one request whether it is valid, and why not."]
    lines += ["", "## Sources", ""]
    lines += [f"- <{source['url']}>: {source['says']}" for source in provider["sources"]]
    lines += ["", "The words in code are those of [the grammar](../schemes.md)."]
    return "\n".join(wrapped(line) for line in lines) + "\n"


def index(providers: list[Provider]) -> str:
    lines = ["# Providers", "", f"{len(providers)} senders are built in. Bold ones are promised by name in each language.", ""]
    lines += ["| provider | sender | verified by | dedupe key | evidence |", "|---|---|---|---|---|"]
    for p in providers:
        name = f"[{p['name']}]({p['name']}.md)"
        dedupe = p["whole"]["extract"].get("dedupe")
        cells = [f"**{name}**" if p["curated"] else name, p["title"], p["whole"]["kind"]]
        cells += [code(dedupe[0]) if dedupe else "none", p["evidence"].split(".")[0].split(":")[0]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def pages(root: Path) -> dict[Path, str]:
    folder = root / "docs" / "providers"
    providers = providers_read(root)
    made = {folder / f"{provider['name']}.md": page(provider) for provider in providers}
    return made | {folder / "README.md": index(providers)}


def main() -> None:
    root = Path(sys.argv[1])
    made = pages(root)
    present = set((root / "docs" / "providers").glob("*.md"))
    wrong = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    wrong += sorted(present - made.keys())
    if "--check" in sys.argv[2:]:
        for path in wrong:
            print(f"{path.relative_to(root)} is not what provider_pages.py writes: run ./run format")
        print(f"docs/providers: {len(made)} pages, {len(wrong)} stale")
        sys.exit(1 if wrong else 0)
    for path in present - made.keys():
        path.unlink()
    (root / "docs" / "providers").mkdir(exist_ok=True)
    for path, text in made.items():
        path.write_text(text)
    print(f"docs/providers: {len(made)} pages")


if __name__ == "__main__":
    main()
