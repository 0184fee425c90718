"""`autoload`: Knocker's SQL functions in connections that somebody else opens. Each test
is a process of its own, for what is loaded stays.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BEFORE = """
import sqlite3
import knocker

before = sqlite3.connect("app.db")
knocker.autoload()
knocker.autoload()  # again is fine
try:
    before.execute("select knocker_stats()")
except sqlite3.OperationalError as error:
    assert "no such function" in str(error)
else:
    raise AssertionError("it was there before")
before.close()
"""


def run(folder: Path, program: str) -> None:
    command = [sys.executable, "-W", "error", "-c", BEFORE + program]
    subprocess.run(command, cwd=folder, check=True, timeout=60)


def test_every_connection_of_sqlite3_has_the_functions(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import json, threading

def work():
    with sqlite3.connect("app.db") as db:
        db.execute("select knocker_bootstrap()")
        db.execute("select knocker_endpoint_upsert('x', '/x', 'none', 1)")
        (text,) = db.execute(
            "select knocker_ingest('x', 'POST', '{}', ?, '{}', 1,"
            " null, 'evt_1', null, 't', null, null, null)", [b"body"]
        ).fetchone()
    db.close()
    assert json.loads(text)["status_code"] == 204, text

thread = threading.Thread(target=work)
thread.start()
thread.join()
memory = sqlite3.connect(":memory:")
assert memory.execute("select count(*) from knocker_providers").fetchone()[0] > 5
memory.close()

with knocker.open("app.db") as webhooks:
    ran = []
    webhooks.add_handler("x", lambda event, tx: ran.append(event.body))
    assert webhooks.drain() == [1] and ran == [b"body"]
    assert webhooks.receive("x", b"again").status_code == 204
""",
    )


def test_sqlalchemy_has_them_in_its_own_transaction(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from sqlalchemy import create_engine, text

engine = create_engine("sqlite:///app.db")
with engine.begin() as connection:
    connection.execute(text("select knocker_bootstrap()"))
    connection.execute(text("select knocker_endpoint_upsert('x', '/x', 'none', 1)"))
ingest = text(
    "select knocker_ingest('x', 'POST', '{}', :body, '{}', 1,"
    " null, :id, null, 't', null, null, null)"
)
with engine.begin() as connection:
    connection.execute(text("create table orders(id)"))
    connection.execute(text("insert into orders values (1)"))
    connection.execute(ingest, {"body": b"kept", "id": "evt_1"})
try:
    with engine.begin() as connection:
        connection.execute(text("insert into orders values (2)"))
        connection.execute(ingest, {"body": b"undone", "id": "evt_2"})
        raise LookupError
except LookupError:
    pass
with engine.connect() as connection:
    rows = connection.execute(text("select body_blob from knocker_events")).all()
    assert [tuple(row) for row in rows] == [(b"kept",)], rows
    assert connection.execute(text("select count(*) from orders")).scalar() == 1
engine.dispose()
""",
    )


def test_another_copy_of_sqlite_is_refused(second_sqlite: str, tmp_path: Path) -> None:
    program = f"""{second_sqlite}
try:
    knocker.autoload()
except knocker.StorageError as error:
    assert "another copy of SQLite" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
