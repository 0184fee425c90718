"""What can go wrong: one base class, and one subclass a cause."""

from __future__ import annotations

from . import _native


class Error(Exception):
    """The base of every error that Knocker raises. `name` is its word in every language."""

    name = "unknown"
    code = 0

    def __str__(self) -> str:
        # KeyError would show the repr of its sentence.
        return str(self.args[0]) if self.args else ""


class InvalidArgument(Error, ValueError):
    """A mistake in the call. Nothing was written."""

    code = _native.KNOCKER_INVALID_ARGUMENT


class UnknownEndpoint(Error, KeyError):
    """No endpoint has this name."""

    code = _native.KNOCKER_UNKNOWN_ENDPOINT


class UnknownEvent(Error, KeyError):
    """No event has this id."""

    code = _native.KNOCKER_UNKNOWN_EVENT


class UnknownDelivery(Error, KeyError):
    """No delivery has this id."""

    code = _native.KNOCKER_UNKNOWN_DELIVERY


class WrongStatus(Error, ValueError):
    """The act is not allowed from the event's status, which the text names."""

    code = _native.KNOCKER_WRONG_STATUS


class Busy(Error):
    """Another writer held the file, or this handle, for longer than busy_timeout_ms."""

    code = _native.KNOCKER_BUSY


class StorageError(Error):
    """The disk is full, the file read-only or no database, or an I/O error."""

    code = _native.KNOCKER_STORAGE


class CorruptError(Error):
    """The file is damaged."""

    code = _native.KNOCKER_CORRUPT


class Closed(Error):
    """The handle is closed, or the handler of this tx has returned."""

    code = _native.KNOCKER_CLOSED


class LeaseLost(Error):
    """Another worker claimed this job since; nothing of this work was kept."""

    code = _native.KNOCKER_LEASE_LOST


class SqlError(Error):
    """A handler's own statement failed; the text is SQLite's."""

    code = _native.KNOCKER_SQL


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


BY_CODE = {kind.code: kind for kind in Error.__subclasses__()}
for _kind in BY_CODE.values():
    _kind.name = _native.knocker_error_name(_kind.code)
_native.set_errors(BY_CODE)
