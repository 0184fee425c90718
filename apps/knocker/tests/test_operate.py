"""What an operator does: init, bulk acts with their question, prune, pause, audits, and the doctor's judgement."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import knocker
import pytest
from conftest import Filled
from shell import HOSTILE, KNOCKER, complaint, environ, objects, on_terminal, run, text


def events(path: Path, *filters: object) -> list[int]:
    return [event["id"] for event in objects("events", "--db", path, "--limit", 1000, *filters)]


@pytest.fixture
def grave(tmp_path: Path) -> Path:
    """A database of 30 dead events: 20 of shop, of which 10 are old, and 10 of forum; all of type bad."""
    path = tmp_path / "grave.db"
    with knocker.open(str(path), max_attempts=1) as webhooks:
        for name in ("shop", "forum"):
            webhooks.add_endpoint(name=name, path=f"/{name}", provider=None)

            @webhooks.handle(endpoint=name)
            def bad(event: knocker.Event, tx: knocker.Tx) -> None:
                raise RuntimeError("no")

        for name, age_s in (("shop", 7200), ("shop", 0), ("forum", 0)):
            webhooks.set_clock(time.time() - age_s)
            for number in range(10):
                webhooks.ingest(endpoint=name, event_type="bad", body=str(number), signature_valid=True)
            webhooks.drain()
    return path


# Says on file 9 which file was synced, and when something is written on standard output.
LOGGED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int synced(int file, const char *name)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	char link[64], path[4096] = "";
	int result = real(file);
	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	if (readlink(link, path, sizeof path - 1) > 0 && result == 0)
		dprintf(9, "synced %s\n", strrchr(path, '/') + 1);
	return result;
}
int fsync(int file) { return synced(file, "fsync"); }
int fdatasync(int file) { return synced(file, "fdatasync"); }
"""


# ---- init ----


def test_init_makes_an_inbox_once_and_leaves_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as own:
        own.execute("create table stock as select 'lamp' as item")
    own.close()
    assert text("init", "--db", path) == f"{path} now has an inbox, schema 1\n"
    assert text("init", "--db", path) == f"{path} already has an inbox, schema 1\n"
    assert objects("init", "--db", path) == [{"db": str(path), "created": False, "schema": 1}]
    assert objects("init", "--db", tmp_path / "new.db")[0]["created"] is True
    with sqlite3.connect(path) as own:
        assert own.execute("select item from stock").fetchall() == [("lamp",)]
    own.close()
    assert objects("events", "--db", path) == objects("events", "--db", tmp_path / "new.db") == []


def test_init_refuses_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(b"Dear all, " * 1000)
    complaint("init", "--db", tmp_path / "letter.txt", code=4)
    assert (tmp_path / "letter.txt").read_bytes() == b"Dear all, " * 1000
    complaint("init", "--db", tmp_path / "no" / "folder.db", code=4)


# ---- one delivery ----


def test_one_delivery_is_shown_with_its_body_and_why_it_was_refused(db: Filled) -> None:
    id = db.ids["d_refused"]
    shown = text("delivery", id, "--db", db.path)
    assert "signature    invalid" in shown and "why not      no good" in shown
    assert '"content-type": "application/json"' in shown and "2 bytes, JSON" in shown
    found = objects("delivery", id, "--db", db.path)[0]
    assert (found["id"], found["event_id"], found["body"], found["signature_valid"]) == (id, None, "{}", False)
    assert run("delivery", id, "--raw", "--db", db.path).stdout == b"{}"
    assert "received" in shown and "ago)" in shown


def test_a_body_that_was_not_kept_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "big.db"
    with knocker.open(str(path), max_body_bytes=10) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        id = webhooks.receive(endpoint="shop", body=b"x" * 11).delivery_id
    assert "not kept" in text("delivery", id, "--db", path)
    assert "not kept" in complaint("delivery", id, "--raw", "--db", path, code=3)
    assert objects("delivery", id, "--db", path)[0]["body"] is None


def test_why_names_moments_as_dates(db: Filled) -> None:
    sentence = text("why", db.ids["waiting"], "--db", db.path).splitlines()[0]
    today = time.strftime("%Y-%m-", time.gmtime())
    assert sentence.startswith(f"waiting for a worker since {today}") and sentence.endswith("Z")


# ---- many at once ----


def test_a_bulk_act_names_the_number_and_does_nothing_where_nobody_can_be_asked(grave: Path) -> None:
    said = complaint("requeue", "--status", "dead", "--db", grave, code=2)
    assert "30 dead events would be queued again" in said and "--yes" in said
    assert len(events(grave, "--status", "dead")) == 30
    assert "20 dead events of endpoint 'shop'" in text(
        "requeue", "--status", "dead", "--endpoint", "shop", "--dry-run", "--db", grave
    )
    assert objects("ignore", "--status", "dead", "--since", "1h", "--dry-run", "--db", grave) == [{"matched": 20}]
    assert len(events(grave, "--status", "dead")) == 30


def test_a_bulk_act_takes_what_the_filters_choose_the_oldest_first(grave: Path) -> None:
    oldest = events(grave, "--status", "dead")[::-1]
    flags = ["requeue", "--status", "dead", "--type", "bad", "--yes", "--db", grave]
    assert text(*flags, "--endpoint", "shop", "--limit", 3) == "queued again: 3 of 3 events\n"
    assert events(grave, "--status", "received")[::-1] == oldest[:3]
    assert objects(*flags, "--endpoint", "forum") == [{"matched": 10, "done": 10, "left_alone": 0}]
    assert events(grave, "--status", "dead")[::-1] == oldest[3:20]
    assert text(*flags, "--since", "1h") == "queued again: 10 of 10 events\n"
    assert events(grave, "--status", "dead")[::-1] == oldest[3:10]
    done = run(*flags, "--endpoint", "forum")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing matches\n")


def test_what_a_bulk_act_did_is_on_the_disk_before_it_is_said(grave: Path, tmp_path: Path) -> None:
    (tmp_path / "logged.c").write_text(LOGGED)
    library, log, link = tmp_path / "logged.so", tmp_path / "log", tmp_path / "link.db"
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "logged.c", "-o", library, "-ldl"], check=True)
    link.symlink_to(grave)
    holder = sqlite3.connect(grave)  # while another has it open, closing moves nothing out of the WAL
    holder.execute("select count(*) from knocker_events").fetchall()
    shell = 'exec 9>"$1"; shift; LD_PRELOAD=$1; export LD_PRELOAD; shift; "$@" | sed "s/^/said: /" >&9'
    flags = [KNOCKER, "requeue", "--status", "dead", "--yes", "--db", link]
    subprocess.run(["bash", "-c", shell, "bash", log, library, *flags], check=True, env=environ())
    holder.close()
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["synced grave.db-wal", "said: queued again: 30 of 30 events"]
    assert lines.count("synced grave.db-wal") < 5


def test_ignore_and_replay_take_filters_too(grave: Path) -> None:
    text("ignore", "--status", "dead", "--reason", "spam", "--endpoint", "forum", "--yes", "--db", grave)
    ignored = events(grave, "--status", "ignored")
    assert len(ignored) == 10 and "spam" in text("why", ignored[0], "--db", grave)
    assert text("replay", "--status", "ignored", "--yes", "--db", grave) == "queued again: 10 of 10 events\n"
    assert len(events(grave, "--status", "received")) == 10


def test_what_an_act_is_not_allowed_for_is_left_alone_and_counted(db: Filled) -> None:
    flags = ["requeue", "--status", "received", "--yes", "--db", db.path]
    said = text(*flags, code=1)
    assert said.startswith("queued again: 0 of 2 events; 2 left alone, the first because")
    assert f"event {db.ids['waiting']} is received" in said
    assert objects(*flags, code=1) == [{"matched": 2, "done": 0, "left_alone": 2}]


def test_the_terminal_is_asked_and_only_yes_is_yes(grave: Path) -> None:
    flags = ["requeue", "--status", "dead", "--db", grave]
    for answer in ("n\n", "\n", "yess\n", "\x04"):
        code, shown = on_terminal(100, *flags, answer=answer)
        assert code == 1 and "30 dead events" in shown and "[y/N]" in shown
        assert "nothing was changed" in shown
    assert len(events(grave, "--status", "dead")) == 30
    code, shown = on_terminal(100, *flags, answer="y\n")
    assert code == 0 and "queued again: 30 of 30 events" in shown
    assert events(grave, "--status", "dead") == []


def test_a_question_cannot_steer_the_terminal(grave: Path) -> None:
    with knocker.open(str(grave)) as webhooks:
        webhooks.ingest(endpoint="shop", event_type=HOSTILE, body=b"", signature_valid=True)
    flags = ["ignore", "--status", "received", "--type", HOSTILE, "--db", grave]
    code, shown = on_terminal(100, *flags, answer="n\n", NO_COLOR="1")
    assert code == 1 and "\x1b[31m" not in shown and "\\x1b[31m" in shown


def test_a_long_act_says_how_far_it_is_on_a_terminal_alone(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    with knocker.open(str(path)) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        for _ in range(5):
            webhooks.receive_many([dict(endpoint="shop", body=b"{}")] * 1000)
    flags = ["ignore", "--status", "received", "--yes", "--db", path]
    code, shown = on_terminal(100, *flags)
    assert code == 0 and "ignored: 5000 of 5000 events" in shown
    counted, acted, _ = shown.split("\x1b[K")
    assert "\rcounting: 1000\r" in counted + "\r" and "\rignored " in acted and " of 5000\r" in acted
    done = run("replay", "--status", "ignored", "--yes", "--db", path)
    assert (done.stdout, done.stderr) == (b"queued again: 5000 of 5000 events\n", b"")


def test_replay_delivery_runs_a_repeats_own_body(db: Filled) -> None:
    id = db.ids["handled"]
    repeat = objects("deliveries", "--event", id, "--db", db.path)[0]["id"]
    assert repeat != id
    assert f"delivery {repeat} is queued" in text("replay-delivery", repeat, "--db", db.path)
    bodies: list[bytes] = []
    with knocker.open(str(db.path)) as webhooks:
        webhooks.add_handler("shop", lambda event, tx: bodies.append(event.body), "ok")
        webhooks.drain()
    assert b'{"id":"o-1"}' in bodies
    complaint("replay-delivery", db.ids["d_refused"], "--db", db.path, code=1)
    assert objects("replay-delivery", repeat, "--db", db.path)[0]["event_id"] == id


# ---- pause and resume ----


def test_pause_holds_an_endpoint_and_resume_lets_it_go(db: Filled) -> None:
    assert "paused" in text("pause", "shop", "--db", db.path)
    paused = {row["name"]: row["paused"] for row in objects("endpoints", "--db", db.path)}
    assert paused == {"shop": True, "forum": False}
    assert "paused" in text("why", db.ids["waiting"], "--db", db.path)
    assert [(row["name"], row["paused"]) for row in objects("resume", "shop", "--db", db.path)] == [("shop", False)]
    assert objects("why", db.ids["waiting"], "--db", db.path)[0]["cause"] == "waiting"
    assert "'nobody'" in complaint("pause", "nobody", "--db", db.path, code=3)


# ---- prune and audits ----


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """1,500 handled and 40 ignored events of yesterday with 5 orphans; one handled event of today."""
    path = tmp_path / "old.db"
    with knocker.open(str(path)) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        webhooks.add_handler("shop", lambda event, tx: None)
        webhooks.set_clock(time.time() - 86400)
        webhooks.receive_many([dict(endpoint="shop", body=b"{}")] * 1000)
        webhooks.receive_many([dict(endpoint="shop", body=b"{}")] * 500)
        webhooks.drain()
        for one in webhooks.receive_many([dict(endpoint="shop", body=b"{}")] * 40):
            webhooks.ignore(one.event_id)
        for _ in range(5):
            webhooks.ingest(endpoint="shop", body=b"{}", signature_valid=False, signature_error="no")
        webhooks.set_clock(time.time())
        webhooks.receive(endpoint="shop", body=b"{}")
        webhooks.drain()
    return path


def test_prune_counts_asks_and_deletes_in_slices_with_an_audit_row_each(old: Path) -> None:
    flags = ["prune", "events", "--older-than", "1h", "--db", old]
    counts = {"events_pruned": 1540, "attempts_pruned": 1500, "deliveries_pruned": 1540, "live_jobs_pruned": 0}
    assert objects(*flags, "--dry-run") == [{"dry_run": True, **counts}]
    assert "1540 events would be pruned" in text(*flags, "--dry-run")
    assert objects("audits", "--db", old) == []
    assert "1540 events received before" in complaint(*flags, code=2)
    code, shown = on_terminal(100, *flags, answer="n\n")
    assert code == 1 and "deleted for good" in shown and "nothing was changed" in shown
    assert len(events(old, "--status", "ignored")) == 40
    assert objects(*flags, "--yes") == [{"dry_run": False, **counts}]
    assert len(events(old)) == 1
    audits = objects("audits", "--db", old)
    assert len(audits) > 1 and sum(audit["events_pruned"] for audit in audits) == 1540
    assert {audit["kind"] for audit in audits} == {"prune_events"}
    assert audits[0]["id"] > audits[1]["id"]


def test_prune_takes_one_status_and_a_limit_the_oldest_first(old: Path) -> None:
    flags = ["prune", "events", "--older-than", "1h", "--db", old, "--yes"]
    assert text(*flags, "--status", "ignored", "--limit", 7).startswith("7 events pruned")
    assert len(events(old, "--status", "ignored")) == 33
    assert text(*flags, "--limit", 250).startswith("250 events pruned")
    assert text(*flags, "--status", "handled", "--dry-run").startswith("1250 events would be pruned")
    assert "'dead' cannot be pruned" in complaint(*flags, "--status", "dead", code=2)
    left = [event for event in objects("events", "--since", 1, "--db", old, "--limit", 1000, "--before", 300)]
    assert [event["id"] for event in left][-1] == 251


def test_prune_orphans_leaves_events_alone(old: Path) -> None:
    flags = ["prune", "orphans", "--older-than", "1h", "--db", old]
    assert text(*flags, "--dry-run") == "5 orphans would be pruned\n"
    assert objects(*flags, "--yes") == [{"dry_run": False, "deliveries_pruned": 5}]
    assert text(*flags, "--yes") == "0 orphans pruned\n"
    assert objects("stats", "--db", old)[0]["orphans"] == 0
    assert {audit["kind"] for audit in objects("audits", "--db", old)} == {"prune_orphan_deliveries"}
    assert objects("audits", "--kind", "prune_events", "--db", old) == []
    assert objects("audits", "--since", int(time.time()) + 60, "--db", old) == []
    assert "prune_orphan_deliveries" in text("audits", "--limit", 1, "--db", old)


def test_receiving_goes_on_while_a_prune_runs(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    with knocker.open(str(path), busy_timeout_ms=1000) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        webhooks.add_handler("shop", lambda event, tx: None)
        webhooks.set_clock(time.time() - 86400)
        for _ in range(20):
            webhooks.receive_many([dict(endpoint="shop", body=b"{}")] * 1000)
        webhooks.drain()
        webhooks.set_clock(time.time())
        pruning = subprocess.Popen(
            [sys.executable, "-c", "import shell, sys; print(shell.text(*sys.argv[1:]))", "prune", "events",
             "--older-than", "1h", "--yes", "--db", path],
            cwd=Path(__file__).parent, stdout=subprocess.PIPE,
        )  # fmt: skip
        received = 0
        while pruning.poll() is None:
            webhooks.receive(endpoint="shop", body=b"{}")
            received += 1
        said = pruning.communicate()[0]
    assert said.startswith(b"20000 events pruned") and received > 0
    assert len(objects("events", "--db", path, "--limit", 1000)) == min(received, 1000)


# ---- doctor ----


def findings(path: Path, *more: object, code: int = 0) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in objects("doctor", "--db", path, *more, code=code)}


def test_a_healthy_inbox_is_said_to_be_one(old: Path) -> None:
    found = findings(old)
    checks = "schema wal jobs leases endpoints events orphans clock integrity"
    assert set(found) == set(checks.split())
    assert {one["verdict"] for one in found.values()} == {"ok"}
    assert found["integrity"]["found"].endswith("all of it sound")
    assert found["orphans"]["found"].startswith("5 refused deliveries kept")
    lines = text("doctor", "--db", old).splitlines()
    assert len(lines) == len(found) and all(line.startswith("ok    ") for line in lines)


def test_a_job_that_nobody_takes_is_a_fault_unless_its_endpoint_is_paused(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    with knocker.open(str(path)) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        webhooks.set_clock(time.time() - 3600)
        webhooks.receive(endpoint="shop", body=b"{}")
    late = findings(path, code=1)["jobs"]
    assert late["verdict"] == "bad" and late["found"].startswith("1 due, the oldest for 1h")
    assert findings(path, "--late", "2h")["jobs"]["verdict"] == "ok"
    text("pause", "shop", "--db", path)
    found = findings(path)
    assert (found["jobs"]["verdict"], found["endpoints"]["verdict"]) == ("ok", "note")
    assert "shop" in found["endpoints"]["found"]


DIES = """
import os, sys, time, knocker
webhooks = knocker.open(sys.argv[1], visibility_timeout_s=60)
webhooks.set_clock(time.time() - 3600)
webhooks.add_endpoint(name="shop", path="/shop", provider=None)
webhooks.add_handler("shop", lambda event, tx: os._exit(7))
webhooks.receive(endpoint="shop", body=b"{}")
webhooks.run_worker_once()
"""


def test_an_abandoned_lease_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "left.db"
    assert subprocess.run([sys.executable, "-c", DIES, path], timeout=60).returncode == 7
    lease = findings(path, code=1)["leases"]
    assert lease["verdict"] == "bad" and lease["found"].startswith("1 held, 1 of them past their time")
    assert findings(path, "--late", "2h")["leases"]["verdict"] == "ok"


def test_what_deserves_a_look_is_a_note_and_healthy(db: Filled, tmp_path: Path) -> None:
    found = findings(db.path)
    assert (found["events"]["verdict"], found["events"]["found"][:7]) == ("note", "1 dead,")
    path = tmp_path / "flood.db"
    with knocker.open(str(path), orphan_rows=3) as webhooks:
        webhooks.add_endpoint(name="shop", path="/shop", provider=None)
        webhooks.set_clock(time.time() + 3600)
        for _ in range(5):
            webhooks.ingest(endpoint="shop", body=b"{}", signature_valid=False, signature_error="no")
    with knocker.open(str(path)) as webhooks:
        webhooks.ingest(endpoint="shop", body=b"{}", signature_valid=False, signature_error="no")
    found = findings(path)
    assert found["orphans"]["verdict"] == "note" and "2 dropped" in found["orphans"]["found"]
    assert found["clock"]["verdict"] == "note", found["clock"]


def test_a_wal_that_a_reader_holds_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    text("init", "--db", path)
    reader, writer = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
    reader.execute("begin")
    reader.execute("select count(*) from knocker_events").fetchall()
    writer.execute("create table filler as select zeroblob(70000000) as x")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for name in (path, link):
        found = findings(name, code=1)["wal"]
        assert found["verdict"] == "bad" and found["found"].startswith("67.")
    reader.close()
    writer.execute("pragma wal_checkpoint(truncate)")
    writer.close()
    assert findings(path)["wal"]["verdict"] == "ok"


def test_a_damaged_file_is_a_fault(old: Path) -> None:
    with sqlite3.connect(old, isolation_level=None) as own:
        own.execute("pragma wal_checkpoint(truncate)")
        size = own.execute("pragma page_size").fetchone()[0]
        root = own.execute("select rootpage from sqlite_schema where name = '_knocker_job_rare'").fetchone()[0]
    own.close()
    with open(old, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    found = [json.loads(line) for line in run("doctor", "--json", "--db", old).stdout.splitlines()]
    assert run("doctor", "--db", old).returncode == 1
    verdicts = {one["check"]: one["verdict"] for one in found}
    assert verdicts["integrity"] == "bad" and verdicts["schema"] == "ok"


def test_a_large_file_is_checked_for_damage_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    text("init", "--db", path)
    with sqlite3.connect(path) as own:
        own.execute("create table filler as select zeroblob(270000000) as x")
    own.execute("pragma wal_checkpoint(truncate)")
    own.close()
    assert findings(path)["integrity"]["verdict"] == "note"
    assert findings(path, "--full")["integrity"]["found"].endswith("all of it sound")
    assert "\rreading all of the file\r\x1b[K" in on_terminal(100, "doctor", "--full", "--db", path)[1]
