"""Checking and signing without any file: the same tables verify a request and emulate
its sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

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

if TYPE_CHECKING:
    from typing_extensions import Unpack


class BareRequest(TypedDict, total=False):
    """A request that goes to no endpoint."""

    secrets: Sequence[str] | None
    body: Body
    headers: Headers
    query: Query
    method: str
    options: Mapping[str, Any] | None


def verify(
    provider: str | Scheme, *, now: float | None = None, **request: Unpack[BareRequest]
) -> rows.Verification:
    """Checks a request against a built-in provider or a scheme.

    `now` is the system's clock by default.
    """
    found = _native.knocker_verify(
        _members(provider, **request), milliseconds("now", now)
    )
    return rows.one(rows.Verification, found)


def diagnose(
    provider: str | Scheme,
    *,
    others: Mapping[str, str | Sequence[str]] | None = None,
    now: float | None = None,
    **request: Unpack[BareRequest],
) -> list[rows.Diagnosis]:
    """What would have made a request valid, likeliest first.

    `others` are further secrets to be tried, by the names that the sentences give them. A
    `cause` of None says that no known mistake explains the request.
    """
    found = _native.knocker_diagnose(
        _members(provider, **request),
        object_json("others", others),
        milliseconds("now", now),
    )
    return rows.many(rows.Diagnosis, found)


def sign(
    provider: str | Scheme, *, now: float | None = None, **request: Unpack[BareRequest]
) -> dict[str, str]:
    """The headers that the provider would send with this request, signed with the first secret."""
    found = _native.knocker_sign(
        _members(provider, **request), milliseconds("now", now)
    )
    return {row["name"]: row["value"] for row in found}


def _members(
    provider: str | Scheme,
    *,
    secrets: Sequence[str] | None = None,
    body: Body = None,
    headers: Headers = None,
    query: Query = None,
    method: str = "POST",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        **http_members(body, headers, query, method),
        "secrets_json": texts_json("secrets", secrets),
        "options_json": object_json("provider_options", options),
        **provider_members(provider),
    }
