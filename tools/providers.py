"""Reads the folders of providers and refuses a wrong one, with a sentence that names the folder and the member.

Owns the part of JSON Schema that providers/schema.json uses, and the rules that no schema can say. Knows nothing of what a
scheme means: the core does.
"""

import json
import re
from pathlib import Path

KINDS: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool}
WORDS = {"string": "a text", "boolean": "true or false", "object": "an object", "array": "an array"}
SAYS_NOTHING = {"$schema", "$defs", "title", "description"}
# What the core reads; the rest is for documents and stays out of the library.
EMBEDDED = ("name", "version", "title", "curated", "aliases", "scheme")


class Wrong(Exception):
    """A folder that is not as it should be; its text is the sentence."""


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the member {name!r} stands twice in one object")
    return dict(pairs)


def read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except (OSError, ValueError) as error:
        raise Wrong(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise Wrong(f"{path}: it is not a JSON object")
    return value


def follow(rule: dict, schema: dict) -> dict:
    reference = rule.get("$ref")
    return {**schema["$defs"][reference.rsplit("/", 1)[1]], **rule} if reference else rule


def wrong_text(value: str, rule: dict) -> str | None:
    if len(value) < rule.get("minLength", 0):
        return f"is shorter than {rule['minLength']} characters: {value!r}"
    if "enum" in rule and value not in rule["enum"]:
        return f"is none of the texts it may be: {value!r}"
    if "pattern" in rule and not re.search(rule["pattern"], value):
        return f"does not look like {rule['pattern']}: {value!r}"
    return None


def wrong_object(value: dict, rule: dict, schema: dict, at: str) -> str | None:
    known, other = rule.get("properties", {}), rule.get("additionalProperties", True)
    for name in rule.get("required", []):
        if name not in value:
            return f"{at}{name} is missing"
    for name, member in value.items():
        if name not in known and other is False:
            return f"{at}{name} is no member it may have"
        rest = other if isinstance(other, dict) else {}
        sentence = wrong(member, known.get(name, rest), schema, f"{at}{name}")
        if sentence:
            return sentence
    return None


def wrong(value: object, rule: dict, schema: dict, at: str) -> str | None:
    """The first thing that is against the rule, as a sentence; None when nothing is."""
    rule = follow(rule, schema)
    unread = set(rule) - SAYS_NOTHING - {"$ref", "type", "properties", "additionalProperties", "required", "items"}
    unread -= {"enum", "pattern", "minLength", "minItems"}
    if unread:
        return f"{at or 'the schema'} has a rule that this check does not read: {sorted(unread)[0]}"
    if "type" in rule and type(value) is not KINDS[rule["type"]]:
        return f"{at or 'it'} is not {WORDS[rule['type']]}"
    if isinstance(value, str):
        sentence = wrong_text(value, rule)
        return f"{at} {sentence}" if sentence else None
    if isinstance(value, dict):
        return wrong_object(value, rule, schema, f"{at}." if at else "")
    if isinstance(value, list):
        if len(value) < rule.get("minItems", 0):
            return f"{at} has fewer than {rule['minItems']} elements"
        tried = (wrong(one, rule.get("items", {}), schema, f"{at}[{i}]") for i, one in enumerate(value))
        return next((sentence for sentence in tried if sentence), None)
    return None


def options_of(name: str, found: dict[str, dict], seen: tuple[str, ...] = ()) -> set[str]:
    """The names of a scheme's options; those of the scheme it extends where it gives none."""
    scheme = found[name]["scheme"]
    base = scheme.get("extends")
    if "options" in scheme or base is None:
        return set(scheme.get("options", {}))
    if base not in found or base in seen:
        raise Wrong(f"providers/{name}: scheme.extends names no other provider: {base!r}")
    return options_of(base, found, (*seen, name))


def check_together(found: dict[str, dict]) -> None:
    """What only all folders together can say: names that are taken, options that are explained."""
    owners = {name: name for name in found}
    for name, provider in found.items():
        if provider["name"] != name:
            raise Wrong(f"providers/{name}: name is {provider['name']!r}; it has to be the folder's")
        for alias in provider["aliases"]:
            if alias in owners:
                raise Wrong(f"providers/{name}: aliases has {alias!r}, which belongs to providers/{owners[alias]}")
            owners[alias] = name
        options, reasons = options_of(name, found), set(provider.get("option_reasons", {}))
        for option in sorted(options ^ reasons):
            what = "lacks a reason for the option" if option in options else "gives a reason for what is no option:"
            raise Wrong(f"providers/{name}: option_reasons {what} {option!r}")


def providers(root: Path) -> dict[str, dict]:
    """Every provider.json by its folder's name, in order; raises Wrong at the first that is wrong."""
    schema = read(root / "providers/schema.json")
    found = {}
    for path in sorted((root / "providers").glob("*/provider.json"), key=lambda p: p.parent.name):
        value = read(path)
        sentence = wrong(value, schema, schema, "")
        if sentence:
            raise Wrong(f"providers/{path.parent.name}: {sentence}")
        found[path.parent.name] = value
    check_together(found)
    return found


def embedded(provider: dict) -> str:
    kept = {name: provider[name] for name in EMBEDDED}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
