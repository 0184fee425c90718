"""Providers of the application's own, as objects: the face asks them and passes their
verdict on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from . import _native
from .errors import InvalidArgument
from .requests import (
    Headers,
    Query,
    Request,
    header_pairs,
    receive_members,
    texts_json,
)

log = logging.getLogger("knocker")


def _plain_name(name: str) -> str:
    """A header's name without regard to case, also in Rack's form."""
    return name.removeprefix("HTTP_").replace("_", "-").lower()


class ProviderRequest:
    """A request as it was received, before anything is known of it."""

    def __init__(
        self, method: str, headers: Headers, query: Query, body: bytes | None
    ) -> None:
        self.method = method
        self.body = body or b""
        self.headers: dict[str, str] = {}
        self._plain: dict[str, str] = {}
        for name, value in header_pairs(headers):
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            for known, key in ((self.headers, name), (self._plain, _plain_name(name))):
                known[key] = f"{known[key]}, {text}" if key in known else text
        if isinstance(query, (str, bytes)):
            raw = query.decode("latin-1") if isinstance(query, bytes) else query
            self.query: dict[str, Any] = dict(parse_qsl(raw, keep_blank_values=True))
        else:
            self.query = dict(query or {})
        self._json: list[Any] = []

    def header(self, name: str, default: str | None = None) -> str | None:
        """The header of this name, in any case; several are joined by a comma."""
        return self._plain.get(_plain_name(name), default)

    def json(self) -> Any:
        """The body as JSON, parsed once. Raises ValueError when it is none."""
        if not self._json:
            self._json.append(json.loads(self.body))
        return self._json[0]


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """A verdict, with what could be read of the request."""

    valid: bool
    signature_error: str | None = None
    provider_delivery_id: str | None = None
    provider_event_id: str | None = None
    event_type: str | None = None

    @classmethod
    def accept(
        cls,
        *,
        provider_delivery_id: str | None = None,
        provider_event_id: str | None = None,
        event_type: str | None = None,
    ) -> ProviderResult:
        """The request is genuine.

        Give ids of the event or delivery only: receipts of one id are one event.
        """
        return cls(True, None, provider_delivery_id, provider_event_id, event_type)

    @classmethod
    def reject(
        cls,
        error: str,
        *,
        provider_delivery_id: str | None = None,
        provider_event_id: str | None = None,
        event_type: str | None = None,
    ) -> ProviderResult:
        """The request is not genuine, and `error` says why."""
        return cls(False, error, provider_delivery_id, provider_event_id, event_type)

    def members(self) -> dict[str, Any]:
        """The members of a request that carry this verdict."""
        return {
            "verdict": _native.KNOCKER_VALID
            if self.valid is True
            else _native.KNOCKER_INVALID,
            "verdict_error": None if self.valid else self.signature_error or "rejected",
            "ids_event_type": readable_id(self.event_type),
            "ids_event_id": readable_id(self.provider_event_id),
            "ids_delivery_id": readable_id(self.provider_delivery_id),
        }


class Provider:
    """Subclass it, name it, and give an instance to `add_endpoint`."""

    name: str = ""
    version: str = "0"
    option_keys: frozenset[str] = frozenset()
    requires_secrets: bool = False

    def verify(
        self,
        request: ProviderRequest,
        *,
        secrets: Sequence[str],
        options: Mapping[str, Any],
    ) -> ProviderResult:
        """Says whether the request is genuine. What it raises becomes a rejected receipt."""
        raise NotImplementedError

    def validate_options(self, options: Mapping[str, Any]) -> None:
        """Raises ValueError for an option's wrong value."""


def readable_id(value: Any) -> str | None:
    """An id that a function read from a request.

    One with lone surrogates is no text, and so none.
    """
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError(f"an id must be a text, not {type(value).__name__}")
    text = str(value)
    return (
        text
        if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
        else None
    )


KeyFunction = Callable[[ProviderRequest], "str | int | None"]


class Registered:
    """A provider object with what its endpoint was registered with, in this process's
    memory only.
    """

    def __init__(
        self,
        provider: Provider,
        secrets: Sequence[str] | None,
        options: Mapping[str, Any] | None,
    ) -> None:
        name = provider.name
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"{type(provider).__name__} has no name")
        if type(provider).verify is Provider.verify:
            raise InvalidArgument(f"provider {name!r} has no verify method")
        texts_json("secrets", secrets)
        self.provider = provider
        self.secrets = tuple(secrets or ())
        self.options = dict(options or {})
        if provider.requires_secrets and not (self.secrets and all(self.secrets)):
            raise InvalidArgument(f"provider {name!r} requires secrets")
        if unknown := sorted(set(self.options) - provider.option_keys):
            raise InvalidArgument(f"provider {name!r} has no option {unknown[0]!r}")
        provider.validate_options(self.options)

    def judge(self, request: ProviderRequest) -> dict[str, Any]:
        """The members of a request that carry the provider's verdict."""
        try:
            result = self.provider.verify(
                request, secrets=self.secrets, options=dict(self.options)
            )
            if not isinstance(result, ProviderResult):
                kind = type(result).__name__
                raise TypeError(f"verify returned {kind}, not a ProviderResult")
            return result.members()
        except Exception as error:  # noqa: BLE001 - a request may be anything, and none may be lost
            text = f"{self.provider.name} failed: {type(error).__name__}: {error}"
            for secret in filter(None, self.secrets):
                text = text.replace(secret, "[secret]")
            return ProviderResult.reject(text).members()


class Registry:
    """What this process alone knows of its endpoints: their provider objects and functions."""

    def __init__(self) -> None:
        self.providers: dict[str, Registered] = {}
        self.keys: dict[str, dict[str, KeyFunction]] = {}  # by the id that they read

    def put(
        self, endpoint: str, provider: Registered | None, **keys: KeyFunction | None
    ) -> None:
        self.keys[endpoint] = {name: key for name, key in keys.items() if key}
        self.providers.pop(endpoint, None)
        if provider:
            self.providers[endpoint] = provider

    def members(self, request: Request) -> dict[str, Any]:
        """A request for C, with what the functions say of it."""
        members = receive_members(**request)
        endpoint = str(request["endpoint"])
        provider, keys = self.providers.get(endpoint), self.keys.get(endpoint)
        if not (provider or keys):
            return members
        headers, query = request.get("headers"), request.get("query")
        seen = ProviderRequest(members["method"], headers, query, members["body"])
        for name, key in (keys or {}).items():
            if members[name] is None:
                members[name] = _read_key(endpoint, key, seen)
        if provider and "verdict" not in members:
            members |= provider.judge(seen)
        return members


def _read_key(
    endpoint: str, function: KeyFunction, request: ProviderRequest
) -> str | None:
    """One that fails reads nothing: no receipt may be lost by it."""
    try:
        return readable_id(function(request))
    except Exception:
        log.warning("a key function of endpoint %r failed", endpoint, exc_info=True)
        return None
