"""Whether the files of the suite are well formed, without playing them.

Owns the part of JSON Schema that schema.json uses, and the comparison of covers.txt with the
scenarios. Knows nothing of doors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCHEMA: dict[str, Any] = json.loads((HERE / "schema.json").read_text(encoding="utf-8"))

KINDS = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "null": lambda v: v is None,
}
KNOWN = {
    "$schema",
    "$defs",
    "title",
    "type",
    "properties",
    "additionalProperties",
    "required",
    "items",
    "enum",
    "const",
}
KNOWN |= {"oneOf", "$ref", "pattern", "minLength", "minItems", "minProperties", "maxProperties"}


def read(path: Path) -> Any:
    """The file's JSON; a member that stands twice is an error: one of the two would be lost."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            raise ValueError("a member stands twice among " + ", ".join(name for name, _ in pairs))
        return seen

    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)


def problems(value: Any, rule: dict[str, Any] = SCHEMA, at: str = "") -> list[str]:
    """What in `value` is against the rule, as sentences; of a choice those of what was meant."""
    unknown = set(rule) - KNOWN
    if unknown:
        raise ValueError(f"schema.json uses {unknown}, which this check does not read")
    if "$ref" in rule:
        return problems(value, SCHEMA["$defs"][rule["$ref"].rsplit("/", 1)[1]], at)
    if "oneOf" in rule:
        tried = [problems(value, choice, at) for choice in rule["oneOf"]]
        fitting = sum(not found for found in tried)
        if fitting == 1:
            return []
        if fitting > 1:
            return [f"{at}: fits {fitting} of the choices"]
        meant = [
            found
            for found, choice in zip(tried, rule["oneOf"], strict=True)
            if _meant(value, choice)
        ]
        return max(meant or tried, key=lambda found: min(problem.count("/") for problem in found))
    return _type(value, rule, at) or _members(value, rule, at) + _elements(value, rule, at)


def _meant(value: Any, rule: dict[str, Any]) -> bool:
    """Whether the constant members of an alternative, such as `do`, stand in the value."""
    if "$ref" in rule:
        return _meant(value, SCHEMA["$defs"][rule["$ref"].rsplit("/", 1)[1]])
    if "oneOf" in rule:
        return any(_meant(value, choice) for choice in rule["oneOf"])
    named = rule.get("properties", {})
    return isinstance(value, dict) and all(
        value.get(name) == member["const"] for name, member in named.items() if "const" in member
    )


def _type(value: Any, rule: dict[str, Any], at: str) -> list[str]:
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    shown = json.dumps(value)[:80]
    if kinds and not any(KINDS[kind](value) for kind in kinds):
        return [f"{at}: {shown} is not of type {' or '.join(kinds)}"]
    if "const" in rule and value != rule["const"]:
        return [f"{at}: {shown} is not {json.dumps(rule['const'])}"]
    if "enum" in rule and value not in rule["enum"]:
        return [f"{at}: {shown} is none of {' '.join(rule['enum'])}"]
    if "pattern" in rule and not re.search(rule["pattern"], value):
        return [f"{at}: {shown} does not match {rule['pattern']}"]
    if len(value) < rule["minLength"] if "minLength" in rule else False:
        return [f"{at}: is empty"]
    return []


def _members(value: Any, rule: dict[str, Any], at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    named = rule.get("properties", {})
    others = rule.get("additionalProperties", True)
    found = [f"{at}: lacks '{name}'" for name in rule.get("required", []) if name not in value]
    if not rule.get("minProperties", 0) <= len(value) <= rule.get("maxProperties", len(value)):
        found.append(f"{at}: has {len(value)} members")
    for name, member in value.items():
        if name in named:
            found += problems(member, named[name], f"{at}/{name}")
        elif others is False:
            found.append(f"{at}: '{name}' is not a word here")
        elif isinstance(others, dict):
            found += problems(member, others, f"{at}/{name}")
    return found


def _elements(value: Any, rule: dict[str, Any], at: str) -> list[str]:
    if not isinstance(value, list):
        return []
    found = [f"{at}: is empty"] if len(value) < rule.get("minItems", 0) else []
    if "items" in rule:
        for n, element in enumerate(value, 1):
            found += problems(element, rule["items"], f"{at}/{n}")
    return found


def words() -> list[str]:
    """The words of covers.txt."""
    lines = (HERE / "covers.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def suite() -> list[str]:
    """Everything that is wrong with the suite as files."""
    found: list[str] = []
    covered: dict[str, str] = {}
    titles: dict[str, str] = {}
    for path in sorted((HERE / "scenarios").glob("*.json")):
        try:
            scenario = read(path)
        except ValueError as error:
            found.append(f"{path.name}: {error}")
            continue
        wrong = problems(scenario)
        found += [f"{path.name}{problem}" for problem in wrong]
        if wrong:
            continue
        covered |= {word: path.name for word in scenario["covers"]}
        other = titles.setdefault(scenario["title"], path.name)
        if other != path.name:
            found.append(f"{path.name}: has the title of {other}")
    listed = words()
    found += [
        f"covers.txt: '{word}' stands there twice" for word in set(listed) if listed.count(word) > 1
    ]
    found += [f"covers.txt: no scenario covers '{word}'" for word in listed if word not in covered]
    found += [
        f"{name}: covers '{word}', which covers.txt lacks"
        for word, name in covered.items()
        if word not in listed
    ]
    return found
