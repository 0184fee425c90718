"""How Python's arguments become the members of knocker.h's structs.

Every mistake in a call is found here or in C.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlencode

from . import _native
from .errors import InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Required

    from .provider import KeyFunction, Provider, ProviderResult

Body = bytes | bytearray | memoryview | str | None
Headers = Mapping[str, Any] | Iterable[tuple[str, str]] | None
Query = Mapping[str, Any] | Sequence[tuple[str, str]] | str | bytes | None
Scheme = Mapping[str, Any]


class _Options(TypedDict, total=False):
    method: str
    event_type: str | None
    provider_event_id: str | None
    provider_delivery_id: str | None
    dedupe_key: str | None
    queue_name: str | None
    max_attempts: int | None


class IngestOptions(_Options, total=False):
    """What `ingest` takes beside endpoint, body, headers and query."""

    signature_valid: Required[bool | None]
    signature_error: str | None


class ReceiveOptions(_Options, total=False):
    """What `receive` takes beside those.

    `verdict` is for an endpoint whose requests the application verifies itself; the other
    three are for one that is registered in another process.
    """

    verdict: ProviderResult | None
    provider: str | Scheme | None
    secrets: Sequence[str] | None
    provider_options: Mapping[str, Any] | None


class Request(ReceiveOptions, total=False):
    """A whole request, for `receive_many`."""

    endpoint: Required[str]
    body: Body
    headers: Headers
    query: Query


class EndpointOptions(TypedDict, total=False):
    """What an endpoint may have beside its name, path, provider, secrets and provider_options.

    `scheme` is one of the application's own, which `provider` names; `external` says that the
    application verifies by itself and gives each receive a `verdict`.
    """

    scheme: Scheme | None
    external: bool
    enabled: bool
    queue_name: str | None
    max_attempts: int | None
    backoff_base_s: float | None
    backoff_cap_s: float | None
    delivery_key: KeyFunction | None
    event_key: KeyFunction | None


class Page(TypedDict, total=False):
    """The part of a list to give: from a time on, at most so many rows, with ids below one."""

    since: int | None
    limit: int | None
    before_id: int | None


def count(name: str, value: int | None) -> int:
    """An integer of which C takes 0 for "not given": here None says that, and 0 is a mistake."""
    if value is None:
        return 0
    if value == 0 or isinstance(value, bool):
        raise InvalidArgument(f"{name} is {value}")
    return value


def milliseconds(name: str, seconds: float | None) -> int:
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidArgument(
            f"{name} must be a number of seconds, not {type(seconds).__name__}"
        )
    if not math.isfinite(seconds) or abs(seconds) > 1e12:
        raise InvalidArgument(f"{name} is {seconds}")
    return count(name, round(seconds * 1000))


def texts_json(name: str, texts: Iterable[str] | None) -> str | None:
    """A list of texts as JSON. Its values may be secrets, so that no error names one."""
    if texts is None:
        return None
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise InvalidArgument(
            f"{name} must be a list of texts, not {type(texts).__name__}"
        )
    items = list(texts)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise InvalidArgument(
                f"{name}[{index}] must be a text, not {type(item).__name__}"
            )
    return json.dumps(items)


def object_json(name: str, value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{name} must be a mapping, not {type(value).__name__}")
    try:
        return json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{name}: {error}") from error


def page_members(
    since: int | None = None, limit: int | None = None, before_id: int | None = None
) -> dict[str, Any]:
    return {
        "since_s": since or 0,
        "limit": count("limit", limit),
        "before_id": count("before_id", before_id),
    }


def choice(value: bool | None) -> int:
    """A filter's yes, no, or either."""
    return 0 if value is None else 1 if value else 2


def provider_members(provider: str | Scheme | Provider | None) -> dict[str, Any]:
    """A name goes as it is, a scheme of the application's own as JSON."""
    if provider is None or isinstance(provider, str):
        return {"provider": provider}
    if isinstance(provider, Mapping):
        return {"provider": object_json("provider", provider)}
    raise InvalidArgument(
        f"provider must be a name or a scheme, not {type(provider).__name__}"
    )


def _utf8(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{what} is a text with lone surrogates: give the raw bytes"
        ) from error


def body_bytes(body: Body) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, str):
        return _utf8("body", body)
    raise InvalidArgument(
        f"body is a {type(body).__name__}: a framework has parsed it; "
        "give the raw bytes, as received"
    )


def _header_bytes(name: str, value: str | bytes) -> bytes:
    """The bytes as received.

    Frameworks decode them as Latin-1; where that cannot be undone, the text was decoded
    as UTF-8.
    """
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise InvalidArgument(
            f"header {name!r} must be a text, not {type(value).__name__}"
        )
    if value.isascii():
        return value.encode("ascii")
    try:
        raw = value.encode("latin-1")
        raw.decode()
        return raw
    except UnicodeError:
        return _utf8(f"header {name!r}", value)


def header_pairs(headers: Headers) -> list[tuple[str, str | bytes]]:
    """One pair a line: a list of values is so many lines."""
    if headers is None:
        return []
    pairs: list[tuple[str, str | bytes]] = []
    try:
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            if isinstance(value, (list, tuple)):
                pairs.extend((name, one) for one in value)
            else:
                pairs.append((name, value))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"headers must be a mapping or a list of pairs: {error}"
        ) from error
    return pairs


def _plain_lines(headers: Mapping[str, Any] | list[tuple[str, str]]) -> bytes | None:
    """The lines of ASCII texts, at once. None: there are others, or one is no header."""
    try:
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        names = [name for name, _ in pairs]
        text = "\n".join([name + ": " + value for name, value in pairs])
        named = all(names) and ":" not in "".join(names)
    except (TypeError, ValueError):
        return None
    if not named or not text.isascii() or "\r" in text:
        return None
    if text.count("\n") != len(pairs) - 1:
        return None
    return text.encode("ascii") + b"\n"


def header_lines(headers: Headers) -> bytes:
    plain = _plain_lines(headers) if isinstance(headers, (Mapping, list)) else None
    if plain is not None:
        return plain
    lines = []
    for name, value in header_pairs(headers):
        line = _header_bytes("name", name) + b": " + _header_bytes(name, value)
        if b"\n" in line or b"\r" in line or not name or ":" in name:
            raise InvalidArgument(
                f"header {name!r} is no header: it has a line break or a colon, or no name"
            )
        lines.append(line)
    return b"\n".join(lines) + b"\n" if lines else b""


def query_text(query: Query) -> str | bytes | None:
    if query is None or isinstance(query, (str, bytes)):
        return query
    if not isinstance(query, (Mapping, list, tuple)):
        raise InvalidArgument(
            f"query must be a mapping or the raw text, not {type(query).__name__}"
        )
    try:
        return urlencode(query, doseq=True, quote_via=quote)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"query: {error}") from error


def http_members(
    body: Body, headers: Headers, query: Query, method: str
) -> dict[str, Any]:
    """What came over the wire."""
    return {
        "method": method,
        "headers": header_lines(headers),
        "query": query_text(query),
        "body": body_bytes(body),
    }


def receive_members(
    endpoint: str,
    body: Body = None,
    headers: Headers = None,
    query: Query = None,
    method: str = "POST",
    *,
    event_type: str | None = None,
    provider_event_id: str | None = None,
    provider_delivery_id: str | None = None,
    dedupe_key: str | None = None,
    queue_name: str | None = None,
    max_attempts: int | None = None,
    provider: str | Scheme | None = None,
    secrets: Sequence[str] | None = None,
    provider_options: Mapping[str, Any] | None = None,
    verdict: ProviderResult | None = None,
) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        **http_members(body, headers, query, method),
        "event_type": event_type,
        "provider_event_id": provider_event_id,
        "provider_delivery_id": provider_delivery_id,
        "dedupe_key": dedupe_key,
        "queue_name": queue_name,
        "max_attempts": count("max_attempts", max_attempts),
        **provider_members(provider),
        "secrets_json": texts_json("secrets", secrets),
        "options_json": object_json("provider_options", provider_options),
        **(verdict.members() if verdict else {}),
    }


def ingest_members(
    endpoint: str,
    body: Body = None,
    headers: Headers = None,
    query: Query = None,
    *,
    signature_valid: bool | None,
    signature_error: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    verdicts = {
        True: _native.KNOCKER_VALID,
        False: _native.KNOCKER_INVALID,
        None: _native.KNOCKER_UNCHECKED,
    }
    if signature_valid not in (True, False, None):
        raise InvalidArgument(
            f"signature_valid is {signature_valid!r}, not True, False or None"
        )
    return receive_members(endpoint, body, headers, query, **options) | {
        "verdict": verdicts[signature_valid],
        "verdict_error": signature_error,
    }
