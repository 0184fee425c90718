"""Checking and signing without any file: the same tables verify a request and emulate
its sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import _native, rows
from .requests import (
    Body,
    Headers,
    Query,
    Scheme,
    http_members,
    milliseconds,
    object_json,
    provider_members,
    texts_json,
)


def verify(
    provider: str | Scheme,
    *,
    secrets: Sequence[str] | None = None,
    body: Body = None,
    headers: Headers = None,
    query: Query = None,
    method: str = "POST",
    options: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> rows.Verification:
    """Checks a request against a built-in provider or a scheme, without any file.

    `now` is the system's clock by default.
    """
    found = _native.knocker_verify(
        _pure(provider, secrets, body, headers, query, method, options),
        milliseconds("now", now),
    )
    return rows.Kind(rows.Verification).of(found[0])


def sign(
    provider: str | Scheme,
    *,
    secrets: Sequence[str],
    body: Body = None,
    headers: Headers = None,
    query: Query = None,
    method: str = "POST",
    options: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> dict[str, str]:
    """The headers that the provider would send with this request, signed with the first secret."""
    found = _native.knocker_sign(
        _pure(provider, secrets, body, headers, query, method, options),
        milliseconds("now", now),
    )
    return {row["name"]: row["value"] for row in found}


def _pure(
    provider: str | Scheme,
    secrets: Sequence[str] | None,
    body: Body,
    headers: Headers,
    query: Query,
    method: str,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        **http_members(body, headers, query, method),
        "secrets_json": texts_json("secrets", secrets),
        "options_json": object_json("provider_options", options),
        **provider_members(provider),
    }
