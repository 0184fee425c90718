"""What can go wrong: one base class, and one subclass a cause. `name` is the cause's
word in every language.
"""

from __future__ import annotations

from . import _native


class Error(Exception):
    """The base of every error that Knocker raises."""

    name = "unknown"

    def __str__(self) -> str:
        # KeyError would show the repr of its sentence.
        return str(self.args[0]) if self.args else ""


class InvalidArgument(Error, ValueError):
    """A mistake in the call. Nothing was written."""

    name = "invalid_argument"


class UnknownEndpoint(Error, KeyError):
    """No endpoint has this name."""

    name = "unknown_endpoint"


class UnknownEvent(Error, KeyError):
    """No event has this id."""

    name = "unknown_event"


class UnknownDelivery(Error, KeyError):
    """No delivery has this id."""

    name = "unknown_delivery"


class WrongStatus(Error, ValueError):
    """The act is not allowed from the event's status, which the text names."""

    name = "wrong_status"


class Busy(Error):
    """Another writer held the file, or this handle, for longer than busy_timeout_ms."""

    name = "busy"


class StorageError(Error):
    """The disk is full, the file read-only or no database, or an I/O error."""

    name = "storage"


class CorruptError(Error):
    """The file is damaged."""

    name = "corrupt"


class Closed(Error):
    """The handle is closed, or the handler of this tx has returned."""

    name = "closed"


class LeaseLost(Error):
    """Another worker claimed this job since; nothing of this work was kept."""

    name = "lease_lost"


class SqlError(Error):
    """A handler's own statement failed; the text is SQLite's."""

    name = "sql"


class RetryAfter(Exception):
    """Raised in a handler: roll back and run it again in `seconds`. No attempt is counted."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not (isinstance(seconds, (int, float)) and 0 <= seconds < 1e9):
            raise InvalidArgument(f"seconds is {seconds!r}")
        super().__init__(seconds, reason)
        self.seconds = seconds
        self.reason = reason


class Ignore(Exception):
    """Raised in a handler: roll back; the event is ignored, for `reason`."""


class Dead(Exception):
    """Raised in a handler: roll back; the event is dead at once, for `reason`."""


BY_CODE: dict[int, type[Error]] = {
    _native.KNOCKER_INVALID_ARGUMENT: InvalidArgument,
    _native.KNOCKER_UNKNOWN_ENDPOINT: UnknownEndpoint,
    _native.KNOCKER_UNKNOWN_EVENT: UnknownEvent,
    _native.KNOCKER_UNKNOWN_DELIVERY: UnknownDelivery,
    _native.KNOCKER_WRONG_STATUS: WrongStatus,
    _native.KNOCKER_BUSY: Busy,
    _native.KNOCKER_STORAGE: StorageError,
    _native.KNOCKER_CORRUPT: CorruptError,
    _native.KNOCKER_CLOSED: Closed,
    _native.KNOCKER_LEASE_LOST: LeaseLost,
    _native.KNOCKER_SQL: SqlError,
}
_native.set_errors(BY_CODE)
