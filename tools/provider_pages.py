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
URL = "http://127.0.0.1:8000/webhooks"
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


def claims(rule: dict[str, Any]) -> str:
    """What of the token is looked at beside its signature."""
    texts = {name: value if isinstance(value, list) else [value] for name, value in rule.get("claims", {}).items()}
    found = [f"{code(name)} is {' or '.join(code(text) for text in texts[name])}" for name in texts]
    found += [f"{code(name)} is there" for name in rule.get("require", []) if name not in texts]
    leeway = f"; `exp` and `nbf` hold, give or take {rule.get('leeway_s', 0)} s"
    if "if_body" in rule:
        found[-1] += f"; {' and '.join(code(name) for name in rule['if_body'])} only where there is a body"
    return ", ".join(found) + leeway


def rows(scheme: dict[str, Any]) -> list[str]:
    extract = scheme["extract"]
    lines = [table_row("Verified by", algorithm(scheme)), table_row("Signature in", signature(scheme))]
    if scheme["kind"] not in ("token", "basic"):
        lines.append(table_row("Key", key(scheme)))
    if "signed" in scheme:
        lines.append(table_row("Signed", " or ".join(code(text) for text in scheme["signed"])))
    if "jwt" in scheme:
        lines.append(table_row("Claims", claims(scheme["jwt"])))
    if scheme["kind"] not in ("token", "basic"):
        lines.append(table_row("Tolerance", tolerance(scheme)))
    for member, label in IDS:
        lines.append(table_row(label, codes(extract[member]) if extract.get(member) else "none"))
    lines.append(table_row("Dedupe key", codes(extract["dedupe"]) if extract.get("dedupe") else "none"))
    lines.append(table_row("Answered with", answers(scheme)))
    return lines


def answers(scheme: dict[str, Any]) -> str:
    accept, reject = (scheme.get("accept", {"status": 204}), scheme.get("reject", {"status": 401}))
    body = f" and {code(json.dumps(accept['body']))}" if "body" in accept else ""
    return f"{accept['status']}{body}; {reject['status']} where it is refused"


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
        default = code(json.dumps(rule["default"])) if "default" in rule else ""
        default = "required" if rule.get("required") else default
        reason = provider.get("option_reasons", {}).get(name, "")
        lines.append(f"| `{name}` | {rule['type']} | {default} | {reason} |")
    return lines


def command(words: list[str]) -> list[str]:
    """A command as a block by indentation, broken where it would be too wide."""
    lines = ["    " + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > 100:
            lines[-1] += " \\"
            lines.append("        " + word)
        else:
            lines[-1] += " " + word
    return lines


PLAYED = "With the endpoint's secret in the variable SECRET, requests that are signed so, repeats and forgeries among them:"
PLAYED_BY_PAIR = (
    "A key pair of your own plays the sender: SECRET holds the private key here, in PEM or as a JWK, and the endpoint "
    "has the public one."
)


def testing(root: Path, provider: Provider) -> list[str]:
    """How to play the sender: where it signs with a private key, that is needed, and not the endpoint's public one."""
    scheme, name = provider["whole"], provider["name"]
    required = [option for option, rule in scheme.get("options", {}).items() if rule.get("required")]
    given = [f"--url {URL}" if option == "url" else f"--option {option}=VALUE" for option in required]
    private = scheme["kind"] == "ed25519" or scheme.get("key", {}).get("decode") in ("pem-or-spki-b64", "jwks")
    play = [f"knocker emulate {name}", f"--to {URL}", "--secret-env SECRET", *given, "--duplicates 5%", "--forged 1%"]
    judge = [f"knocker verify --provider {name}", f"--secret-env {'PUBLIC' if private else 'SECRET'}", *given]
    lines = ["", "## To test it", "", PLAYED_BY_PAIR if private else PLAYED, "", *command(play)]
    events = sorted(path.stem for path in (root / "providers" / name / "samples").glob("*.json"))
    if events:
        lines += ["", f"Its bodies are {', '.join(code(event) for event in events)}; `--event` picks one."]
    lines += ["", f"Whether one request is valid, and what would make it so{', by the public key' if private else ''}:", ""]
    return lines + command([*judge, "--body FILE", "--header 'NAME: VALUE'"])


def wrapped(line: str) -> str:
    """Prose of at most 120 columns; a table's row and a command's line stay as they are."""
    if line.startswith(("|", "    ")):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def page(root: Path, provider: Provider) -> str:
    scheme = provider["whole"]
    name, documentation = provider["name"], provider["documentation"]
    lines = [f"# {provider['title']}", "", provider["sends"]]
    names = ", ".join(code(n) for n in [name, *provider["aliases"]])
    lines += ["", f"Provider {names}, version {provider['version']}. {provider['evidence']}"]
    lines += ["", "Secret: " + provider["secret"]] if "secret" in provider else []
    lines += ["", "| | |", "|---|---|", *rows(scheme)]
    lines += ["", "## Dedupe", "", provider["dedupe_reason"], *options(provider)]
    if scheme.get("handshake"):
        lines += ["", "## Handshakes", "", *[handshake(rule) for rule in scheme["handshake"]]]
    if "answer" in provider:
        lines += ["", "## Answer", "", provider["answer"]]
    lines += testing(root, provider)
    if "unconfirmed" in provider:
        lines += ["", "## Not confirmed", "", *[f"- {sentence}" for sentence in provider["unconfirmed"]]]
    lines += ["", "## Sources", ""]
    if documentation not in {source["url"] for source in provider["sources"]}:
        lines.append(f"- <{documentation}>: The sender's page about its webhooks.")
    lines += [f"- <{source['url']}>: {source['says']}" for source in provider["sources"]]
    lines += ["", "The words in code are those of [the grammar](../schemes.md)."]
    return "\n".join(wrapped(line) for line in lines) + "\n"


def index(providers: list[Provider]) -> str:
    count = f"{len(providers)} senders are built in. Bold ones are promised by name in each language."
    lines = ["# Providers", "", count, ""]
    lines += ["What cannot be verified, or only in part, and why, is in [another page](../cannot-verify.md).", ""]
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
    made = {folder / f"{provider['name']}.md": page(root, provider) for provider in providers}
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
