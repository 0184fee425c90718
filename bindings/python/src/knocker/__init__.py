"""Knocker: a durable webhook inbox inside an application's own SQLite file.

    webhooks = knocker.open("app.db")
    stripe = webhooks.endpoint("stripe", provider="stripe", secrets=["whsec_..."])

The route answers what `stripe.receive(body=..., headers=...)` says; functions decorated
with `stripe.handle(...)` run in `await webhooks.run_worker()`.
"""

from ._native import knocker_version as _version
from .errors import (
    Busy,
    Closed,
    CorruptError,
    Dead,
    Error,
    Ignore,
    InvalidArgument,
    LeaseLost,
    RetryAfter,
    SqlError,
    StorageError,
    UnknownDelivery,
    UnknownEndpoint,
    UnknownEvent,
    WrongStatus,
)
from .inbox import Endpoint, Inbox, open
from .provider import Provider, ProviderRequest, ProviderResult
from .pure import diagnose, sign, verify
from .requests import Request
from .retention import RetentionPolicy
from .rows import (
    Attempt,
    Changes,
    Delivery,
    Diagnosis,
    EndpointRow,
    Event,
    IngestResult,
    Job,
    PruneAudit,
    PruneDeliveriesResult,
    PruneEventsResult,
    Reverified,
    Stats,
    Verification,
    Why,
    WorkerState,
)
from .sqlite import autoload
from .worker import Handler, Tx

__version__ = _version()

__all__ = [
    "Attempt",
    "Busy",
    "Changes",
    "Closed",
    "CorruptError",
    "Dead",
    "Delivery",
    "Diagnosis",
    "Endpoint",
    "EndpointRow",
    "Error",
    "Event",
    "Handler",
    "Ignore",
    "Inbox",
    "IngestResult",
    "InvalidArgument",
    "Job",
    "LeaseLost",
    "Provider",
    "ProviderRequest",
    "ProviderResult",
    "PruneAudit",
    "PruneDeliveriesResult",
    "PruneEventsResult",
    "Request",
    "RetentionPolicy",
    "RetryAfter",
    "Reverified",
    "SqlError",
    "Stats",
    "StorageError",
    "Tx",
    "UnknownDelivery",
    "UnknownEndpoint",
    "UnknownEvent",
    "Verification",
    "Why",
    "WorkerState",
    "WrongStatus",
    "autoload",
    "diagnose",
    "open",
    "sign",
    "verify",
]
