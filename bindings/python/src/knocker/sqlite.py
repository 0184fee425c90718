"""There must be one copy of SQLite in the process: two drop each other's locks on a file."""

from __future__ import annotations

import importlib.util
from functools import cache

from . import _native
from .errors import StorageError


@cache
def _same() -> bool:
    """Whether this Python's own sqlite3 module, if it has one, uses the SQLite that we do."""
    found = importlib.util.find_spec("_sqlite3")
    if found is None:
        return True
    return _native.same_sqlite(found.origin if found.has_location else None) > 0


def require_one() -> None:
    if not _same():
        raise StorageError(
            "this Python's own sqlite3 module uses another copy of SQLite than Knocker "
            "does, and two copies in one process damage a file: use a Python that is "
            "linked to the system's libsqlite3"
        )


def autoload() -> None:
    """Gives the SQL functions to every SQLite connection that this process opens from now on.

    So to `sqlite3`, SQLAlchemy and Django, also where Python cannot load extensions.
    """
    require_one()
    _native.knocker_autoload()
