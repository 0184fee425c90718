"""What the tests share: a fresh file, an open handle, and Stripe's signature made by
Python's own hmac.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import knocker

SECRET = "whsec_123"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "knocker.db"


@pytest.fixture
def webhooks(path: Path) -> Iterator[knocker.Inbox]:
    with knocker.open(path) as inbox:
        yield inbox


@pytest.fixture
def plain(webhooks: knocker.Inbox) -> knocker.Endpoint:
    """An endpoint without verification."""
    return webhooks.endpoint("plain", path="/plain")


def stripe_request(body: dict[str, Any], now_s: int | None = None) -> dict[str, Any]:
    raw = json.dumps(body).encode()
    stamp = str(int(time.time()) if now_s is None else now_s)
    signed = stamp.encode() + b"." + raw
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return {"body": raw, "headers": {"stripe-signature": f"t={stamp},v1={digest}"}}


Ingest = Callable[..., int]


@pytest.fixture
def ingest(webhooks: knocker.Inbox, plain: knocker.Endpoint) -> Ingest:
    """Makes an event at the plain endpoint."""

    def make(event_type: str = "t", **options: Any) -> int:
        options.setdefault("signature_valid", True)
        event_id = webhooks.ingest("plain", event_type=event_type, **options).event_id
        assert event_id is not None
        return event_id

    return make


@pytest.fixture
def second_sqlite(tmp_path: Path) -> str:
    """The beginning of a program in a Python whose sqlite3 module has an SQLite of its own."""
    source = tmp_path / "own_sqlite.c"
    source.write_text('const char *sqlite3_libversion(void) { return "3.0"; }\n')
    copy = tmp_path / "own_sqlite.so"
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", copy], check=True)
    return f"""
import importlib.util
import knocker
real = importlib.util.find_spec
def find(name, package=None):
    if name == "_sqlite3":
        return importlib.util.spec_from_file_location(name, {str(copy)!r})
    return real(name, package)
importlib.util.find_spec = find
"""
