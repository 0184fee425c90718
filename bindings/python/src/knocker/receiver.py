"""Receiving, through a handle and through a handler's transaction alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import rows
from .requests import Body, Headers, Query, Request, ingest_members

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .provider import Registry
    from .requests import IngestOptions, ReceiveOptions

Row = dict[str, Any]


class Receiver:
    """What `Inbox` and `Tx` inherit."""

    _registry: Registry

    def _receive(self, members: Row) -> list[Row]:
        raise NotImplementedError

    def _ingest(self, members: Row) -> list[Row]:
        raise NotImplementedError

    def receive(
        self,
        endpoint: str,
        body: Body = None,
        headers: Headers = None,
        query: Query = None,
        **options: Unpack[ReceiveOptions],
    ) -> rows.IngestResult:
        """Verifies, stores, deduplicates and queues a request in one commit.

        A rejected request is a result. In a handler it is part of the transaction.
        """
        request = request_of(endpoint, body, headers, query, options)
        found = self._receive(self._registry.members(request))
        return rows.one(rows.IngestResult, found)

    def ingest(
        self,
        endpoint: str,
        body: Body = None,
        headers: Headers = None,
        query: Query = None,
        **options: Unpack[IngestOptions],
    ) -> rows.IngestResult:
        """The trusted door: the caller states `signature_valid`; None is "not checked"."""
        members = ingest_members(endpoint, body, headers, query, **options)
        return rows.one(rows.IngestResult, self._ingest(members))


def request_of(
    endpoint: str, body: Body, headers: Headers, query: Query, options: ReceiveOptions
) -> Request:
    return {
        "endpoint": endpoint,
        "body": body,
        "headers": headers,
        "query": query,
        **options,
    }
