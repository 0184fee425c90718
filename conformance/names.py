"""The format's values: what stands for bytes and large numbers, what names are bound to, comparing.

Knows nothing of steps and doors.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

Words = dict[str, Any]
NAME = re.compile(r"^\$[a-z0-9_]+$")


class Mismatch(Exception):
    """The file fails; the text says where and why."""


def value_of(given: Any) -> Any:
    """A value word as the value it stands for; whatever else as it is."""
    if isinstance(given, dict):
        if set(given) == {"base64"}:
            return base64.b64decode(given["base64"], validate=True)
        if set(given) == {"repeat", "times"}:
            return given["repeat"] * given["times"]
        if set(given) == {"int"}:
            return int(given["int"])
    return given


def is_name(text: Any) -> bool:
    return isinstance(text, str) and NAME.match(text) is not None


def show(value: Any) -> str:
    """For messages: JSON, cut to a readable length; bytes that are text as text."""
    text = json.dumps(value, ensure_ascii=False, default=_show_bytes)
    return text if len(text) <= 400 else text[:397] + "..."


def _show_bytes(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


class Names:
    """What the names of a file are bound to, and how often each was met."""

    def __init__(self) -> None:
        self.values: Words = {}
        self.met: dict[str, int] = {}

    def put_in(self, given: Any) -> Any:
        """`given` with each name and each value word replaced by its value."""
        if is_name(given):
            if given not in self.values:
                raise Mismatch(f"{given} is not bound")
            self.met[given] += 1
            return self.values[given]
        value = value_of(given)
        if isinstance(value, dict):
            return {name: self.put_in(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.put_in(element) for element in value]
        return value

    def match(self, expected: Any, got: Any, at: str) -> None:
        """Raises Mismatch unless `got` is what was expected."""
        if is_name(expected):
            self._match_name(expected, got, at)
        elif (
            isinstance(expected, dict)
            and len(expected) == 1
            and set(expected) <= {"between", "contains", "any"}
        ):
            self._match_range(expected, got, at)
        else:
            expected = value_of(expected)
            if isinstance(expected, dict):
                self._match_members(expected, got, at)
            elif isinstance(expected, list):
                self._match_elements(expected, got, at)
            elif not _same(expected, got):
                raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")

    def _match_name(self, name: str, got: Any, at: str) -> None:
        self.met[name] = self.met.get(name, 0) + 1
        if name in self.values:
            if not _same(self.values[name], got):
                raise Mismatch(
                    f"{at}: expected {name}, which is {show(self.values[name])}, got {show(got)}"
                )
        elif got is None:
            raise Mismatch(f"{at}: {name} cannot be bound to null")
        else:
            self.values[name] = got

    def _match_range(self, expected: Words, got: Any, at: str) -> None:
        if "any" in expected:
            good = expected["any"] is True and got is not None
        elif "between" in expected:
            low, high = expected["between"]
            good = _is_number(got) and low <= got <= high
        else:
            good = isinstance(got, (str, bytes)) and _bytes(expected["contains"]) in _bytes(got)
        if not good:
            raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")

    def _match_members(self, expected: Words, got: Any, at: str) -> None:
        if expected and not isinstance(got, dict):
            raise Mismatch(f"{at}: expected {show(expected)}, got {show(got)}")
        for name, member in expected.items():
            if name not in got:
                raise Mismatch(f"{at}: expected a member '{name}', got {show(got)}")
            self.match(member, got[name], f"{at}.{name}")

    def _match_elements(self, expected: list[Any], got: Any, at: str) -> None:
        if not isinstance(got, list) or len(got) != len(expected):
            raise Mismatch(f"{at}: expected a list of {len(expected)}, got {show(got)}")
        for n, element in enumerate(expected):
            self.match(element, got[n], f"{at}[{n}]")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool):
        return isinstance(got, (bool, int)) and got == expected
    if _is_number(expected):
        return _is_number(got) and got == expected
    if isinstance(expected, (str, bytes)):
        return isinstance(got, (str, bytes)) and _bytes(got) == _bytes(expected)
    return expected is None and got is None
