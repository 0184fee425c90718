"""The SQL door beyond the scenarios: transactions, direct-only rules, arguments, drivers. Run from the root with the system's
Python, whose sqlite3 module loads extensions."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from typing import Any

EXTENSION = os.path.join(os.environ.get("KNOCKER_BUILD", "build"), "knocker")
SECRET = "dev-secret"


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(os.path.abspath(EXTENSION))
    return connection


class SqlCase(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "inbox.db")
        self.sqlite = connect(self.path)
        self.call("knocker_bootstrap")
        self.call("knocker_endpoint_upsert", "provider", "/p", "token-header", 1)

    def tearDown(self) -> None:
        self.sqlite.close()
        self.folder.cleanup()

    def call(self, function: str, *values: Any) -> Any:
        marks = ", ".join("?" * len(values))
        return self.sqlite.execute(f"select {function}({marks})", values).fetchone()[0]

    def one(self, text: str, *values: Any) -> Any:
        return self.sqlite.execute(text, values).fetchone()[0]

    def receive(
        self, body: Any = b'{"id":"evt_1","type":"invoice.created"}', **changed: Any
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "endpoint": "provider",
            "provider": "token-header",
            "secrets": json.dumps([SECRET]),
            "options": "{}",
            "method": "POST",
            "headers": json.dumps({"X-Knocker-Token": SECRET}),
            "body": body,
            "query": "{}",
            "event_id": None,
            "delivery_id": None,
            "event_type": None,
            "dedupe_key": None,
            "queue_name": "knocker.events",
            "max_attempts": 3,
        }
        arguments.update(changed)
        answer: dict[str, Any] = json.loads(
            self.call("knocker_receive", *arguments.values())
        )
        return answer

    def fails(self, name: str, saying: str, function: str, *values: Any) -> None:
        with self.assertRaises(sqlite3.Error) as caught:
            self.call(function, *values)
        self.assertTrue(
            str(caught.exception).startswith(name + ": "), str(caught.exception)
        )
        self.assertIn(saying, str(caught.exception))
        self.assertFalse(self.sqlite.in_transaction)


class Transactions(SqlCase):
    def test_a_call_outside_a_transaction_is_one_of_its_own(self) -> None:
        self.assertEqual(204, self.receive()["status_code"])
        self.assertFalse(self.sqlite.in_transaction)
        self.assertEqual(
            1,
            connect(self.path)
            .execute("select count(*) from knocker_events")
            .fetchone()[0],
        )

    def test_a_call_in_the_callers_transaction_rolls_back_with_it(self) -> None:
        self.sqlite.execute("begin immediate")
        self.receive()
        self.assertEqual(1, self.one("select count(*) from knocker_events"))
        self.sqlite.execute("rollback")
        self.assertEqual(0, self.one("select count(*) from knocker_events"))

    def test_a_failure_in_the_callers_transaction_undoes_only_itself(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.sqlite.execute("begin immediate")
        self.sqlite.execute("insert into app values (1)")
        with self.assertRaises(sqlite3.Error):
            self.receive(endpoint="nobody")
        self.assertTrue(self.sqlite.in_transaction)
        self.receive()
        self.sqlite.execute("commit")
        self.assertEqual(
            (1, 1),
            (
                self.one("select count(*) from app"),
                self.one("select count(*) from knocker_events"),
            ),
        )

    def test_an_old_snapshot_is_named(self) -> None:
        self.sqlite.execute("pragma journal_mode = wal")
        other = connect(self.path)
        self.sqlite.execute("begin")
        self.one("select count(*) from knocker_events")
        other.execute("create table moved_on(x)")
        with self.assertRaisesRegex(sqlite3.Error, "BEGIN IMMEDIATE"):
            self.receive()
        self.sqlite.execute("rollback")

    def test_the_last_insert_rowid_is_the_callers(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.sqlite.execute("insert into app(rowid, x) values (4711, 1)")
        self.receive()
        self.assertEqual(4711, self.one("select last_insert_rowid()"))

    def test_the_journal_mode_stays_and_the_result_says_how_durable_the_commit_is(
        self,
    ) -> None:
        self.assertEqual("delete", self.one("pragma journal_mode"))
        self.assertEqual("full", self.receive()["synchronous"])
        self.sqlite.execute("pragma synchronous = normal")
        self.assertEqual("normal", self.receive(b'{"id":"evt_2"}')["synchronous"])
        self.assertEqual("delete", self.one("pragma journal_mode"))

    def test_closing_a_connection_with_the_extension_leaves_nothing_unfinished(
        self,
    ) -> None:
        script = f".load {EXTENSION}\nselect knocker_bootstrap();\nselect knocker_stats();\n"
        run = subprocess.run(
            ["sqlite3", self.path],
            input=script,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        self.assertEqual("", run.stderr)
        self.assertIn('"queued":0', run.stdout)

    def test_loading_it_for_each_connection_costs_no_memory(self) -> None:
        script = """
import os, sqlite3, sys

def grown(times):
    for _ in range(times):
        connection = sqlite3.connect(":memory:")
        connection.enable_load_extension(True)
        connection.load_extension(sys.argv[1])
        assert len(connection.execute("select * from knocker_providers").fetchall()) >= 8
        connection.close()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

print(-grown(20) + grown(200))
"""
        run = subprocess.run(
            [sys.executable, "-c", script, os.path.abspath(EXTENSION)],
            capture_output=True,
            check=True,
        )
        self.assertLess(int(run.stdout), 4 * 1024 * 1024)

    def test_the_applications_own_pragmas_are_left_alone(self) -> None:
        self.sqlite.execute("pragma user_version = 7")
        self.sqlite.execute("pragma application_id = 8")
        self.call("knocker_bootstrap")
        self.assertEqual(
            (7, 8), (self.one("pragma user_version"), self.one("pragma application_id"))
        )


class Rollbacks(SqlCase):
    """What fails leaves nothing of itself and everything of its owner's, unless SQLite rolls back all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.sqlite.execute("pragma journal_mode = wal")
        self.sqlite.execute("create table app(x)")
        self.sqlite.execute(
            "create table single(x unique on conflict rollback)",
        )
        self.sqlite.execute("insert into single values (1)")

    def spoil(self, action: str) -> None:
        """What the application's schema does when an event is queued: after the delivery is stored."""
        self.sqlite.execute(
            f"create trigger spoil after insert on _knocker_job begin {action}; end"
        )

    def stored(self) -> Any:
        """As another connection sees it: what is committed."""
        other = sqlite3.connect(self.path)
        row = other.execute(
            "select (select count(*) from app), (select count(*) from knocker_deliveries),"
            " (select count(*) from knocker_events)"
        ).fetchone()
        other.close()
        return row

    def test_a_failure_after_a_write_undoes_only_itself(self) -> None:
        self.spoil("select raise(abort, 'spoiled')")
        self.sqlite.execute("begin immediate")
        self.sqlite.execute("insert into app values (1)")
        with self.assertRaisesRegex(sqlite3.Error, "spoiled"):
            self.receive()
        self.assertTrue(self.sqlite.in_transaction)
        self.sqlite.execute("commit")
        self.assertEqual((1, 0, 0), self.stored())

    def test_a_failure_of_its_own_transaction_leaves_none_open(self) -> None:
        for action in (
            "select raise(abort, 'spoiled')",
            "select raise(fail, 'spoiled')",
            "select raise(rollback, 'spoiled')",
            "insert into single values (1)",
        ):
            with self.subTest(action=action):
                self.spoil(action)
                with self.assertRaises(sqlite3.Error):
                    self.receive()
                self.assertFalse(self.sqlite.in_transaction)
                self.assertEqual((0, 0, 0), self.stored())
                self.sqlite.execute("drop trigger spoil")
        self.receive()
        self.assertEqual((0, 1, 1), self.stored())

    def test_a_rollback_of_the_owners_transaction_is_said(self) -> None:
        for action in (
            "select raise(rollback, 'spoiled')",
            "insert into single values (1)",
        ):
            with self.subTest(action=action):
                self.spoil(action)
                self.sqlite.execute("begin immediate")
                self.sqlite.execute("insert into app values (1)")
                with self.assertRaisesRegex(sqlite3.Error, "whole transaction back"):
                    self.receive()
                self.assertFalse(self.sqlite.in_transaction)
                self.assertEqual((0, 0, 0), self.stored())
                self.sqlite.execute("drop trigger spoil")

    def test_an_interrupt_leaves_nothing(self) -> None:
        self.spoil(
            "insert into app with n(i) as (select 1 union all select i + 1 from n where i < 100000) select i from n"
        )
        for begin in ("", "begin immediate"):
            with self.subTest(begin=begin):
                self.sqlite.execute(begin or "select 1")
                self.sqlite.set_progress_handler(lambda: 1, 50_000)
                with self.assertRaisesRegex(sqlite3.Error, "interrupt"):
                    self.receive()
                self.sqlite.set_progress_handler(None, 0)
                self.assertFalse(self.sqlite.in_transaction)
                self.assertEqual((0, 0, 0), self.stored())

    def test_a_half_read_returning_is_refused_by_name(self) -> None:
        for begin in ("", "begin immediate"):
            with self.subTest(begin=begin):
                self.sqlite.execute(begin or "select 1")
                half = self.sqlite.execute(
                    "insert into app values (1), (2) returning x"
                )
                half.fetchone()
                with self.assertRaisesRegex(sqlite3.Error, "under way"):
                    self.receive()
                half.close()
                self.receive()
                if begin:
                    self.sqlite.execute("rollback")
                    self.assertEqual((2, 1, 1), self.stored())
                else:
                    self.assertFalse(self.sqlite.in_transaction)
                    self.assertEqual((2, 1, 1), self.stored())

    def test_an_open_cursor_hinders_no_commit(self) -> None:
        self.sqlite.execute("insert into app values (1), (2)")
        cursor = self.sqlite.execute("select x from app")
        self.assertEqual((1,), cursor.fetchone())
        self.receive()
        self.assertEqual((2, 1, 1), self.stored())
        self.assertEqual((2,), cursor.fetchone())
        cursor.close()
        self.assertFalse(self.sqlite.in_transaction)


class DirectOnly(SqlCase):
    INGEST = "knocker_ingest('provider', 'POST', '{}', 'x', null, 1, null, null, null, null, null, null, null)"

    def refused(self, text: str) -> None:
        with self.assertRaises(sqlite3.Error) as caught:
            self.sqlite.execute(text).fetchall()
        self.assertRegex(str(caught.exception), "knocker_ingest")
        self.assertFalse(self.sqlite.in_transaction)
        self.assertEqual(0, self.one("select count(*) from knocker_events"))

    def test_a_trigger_may_not_call_it(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.sqlite.execute(
            f"create trigger t after insert on app begin select {self.INGEST}; end"
        )
        self.refused("insert into app values (1)")

    def test_insert_select_may_not_call_it(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.refused(f"insert into app select {self.INGEST}")

    def test_create_table_as_may_not_call_it(self) -> None:
        self.refused(f"create table app as select {self.INGEST} as x")

    def test_returning_may_not_call_it(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.refused(f"insert into app values (1) returning {self.INGEST}")

    def test_update_may_not_call_it(self) -> None:
        self.sqlite.execute("create table app(x)")
        self.sqlite.execute("insert into app values (1)")
        self.refused(f"update app set x = {self.INGEST}")

    def test_a_view_may_not_call_it(self) -> None:
        self.sqlite.execute(f"create view v as select {self.INGEST} as x")
        self.refused("select x from v")


class PrintedStep(SqlCase):
    """The worker's step as the documents print it."""

    def claim(self, seconds: float = 60, worker: str = "w") -> Any:
        return json.loads(
            self.call("honker_claim_batch", "knocker.events", worker, 10, seconds)
        )

    def test_mark_write_mark_ack_commit(self) -> None:
        event = self.receive()["event_id"]
        (job,) = self.claim()
        self.assertEqual({"event_id": event}, json.loads(job["payload"]))
        self.sqlite.execute("create table invoices(provider_id)")
        self.sqlite.execute("begin immediate")
        self.assertIsNone(self.call("knocker_mark_processing", event, job["attempts"]))
        self.sqlite.execute("insert into invoices values ('evt_1')")
        self.assertIsNone(self.call("knocker_mark_handled", event, 12))
        self.assertEqual(1, self.call("honker_ack", job["id"], "w"))
        self.sqlite.execute("commit")
        row = self.sqlite.execute(
            "select status, attempt_count from knocker_events"
        ).fetchone()
        self.assertEqual(("handled", 1), row)
        self.assertEqual(12, self.one("select duration_ms from knocker_attempts"))
        self.assertEqual([], self.claim())

    def test_a_lost_lease_is_an_error_of_mark_and_zero_of_ack(self) -> None:
        self.call("knocker_clock_set", 1_700_000_000_000)
        event = self.receive()["event_id"]
        (late,) = self.claim(0)
        (now,) = self.claim(60, "other")
        self.assertEqual(late["attempts"] + 1, now["attempts"])
        self.fails(
            "lease_lost",
            "no longer held",
            "knocker_mark_processing",
            event,
            late["attempts"],
        )
        self.assertEqual(0, self.call("honker_ack", late["id"], "w"))
        self.assertEqual(0, self.call("honker_retry", late["id"], "w", 0, "x"))
        self.assertEqual(0, self.call("honker_heartbeat", late["id"], "w", 60))
        self.assertEqual(0, self.call("honker_fail", late["id"], "w", "x"))
        self.assertEqual(
            0, self.call("honker_ack", now["id"], "other", late["attempts"])
        )
        self.assertEqual(
            1, self.call("honker_ack", now["id"], "other", now["attempts"])
        )

    def test_a_failure_is_marked_and_retried_until_it_is_terminal(self) -> None:
        event = self.receive()["event_id"]
        for terminal, status in ((0, "failed"), (1, "dead")):
            (job,) = self.claim()
            self.call(
                "knocker_mark_failed", event, job["attempts"], "boom", terminal, 5
            )
            self.assertEqual(
                1,
                self.call(
                    "honker_fail" if terminal else "honker_retry",
                    job["id"],
                    "w",
                    *([] if terminal else [0]),
                    "boom",
                ),
            )
            self.assertEqual(status, self.one("select status from knocker_events"))
        self.assertEqual(2, self.one("select attempt_count from knocker_events"))
        self.fails("lease_lost", "dead", "knocker_mark_handled", event, 1)

    def test_an_event_that_is_settled_cannot_be_marked_again(self) -> None:
        event = self.receive()["event_id"]
        self.claim()
        self.call("knocker_mark_ignored", event, 1)
        self.fails("wrong_status", "ignored already", "knocker_mark_handled", event, 1)

    def test_plain_jobs_go_by_priority_and_expire(self) -> None:
        for priority, payload in ((0, "low"), (9, "high"), (0, "late")):
            self.call(
                "honker_enqueue",
                "q",
                payload,
                None,
                None,
                priority,
                None,
                0 if payload == "late" else None,
            )
        jobs = json.loads(self.call("honker_claim_batch", "q", "w", 10, 60))
        self.assertEqual(["high", "low"], [job["payload"] for job in jobs])
        self.assertEqual(
            2,
            self.call("honker_ack_batch", json.dumps([job["id"] for job in jobs]), "w"),
        )
        self.assertEqual(0, self.one("select count(*) from knocker_jobs"))

    def test_no_id_returns_after_a_queue_ran_empty(self) -> None:
        first = self.call("honker_enqueue", "q", "a", None, None, None, None, None)
        self.call("honker_claim_batch", "q", "w", 1, 60)
        self.assertEqual(1, self.call("honker_ack", first, "w"))
        self.assertGreater(
            self.call("honker_enqueue", "q", "b", None, None, None, None, None), first
        )


class Settled(SqlCase):
    """Between a mark and its acknowledgement a settled event's job is still held. Nothing that is done to such an event
    may depend on that."""

    T0 = 1_700_000_000

    def held(self, mark: str, *values: Any) -> int:
        self.call("knocker_clock_set", self.T0 * 1000)
        event: int = self.receive()["event_id"]
        self.call("honker_claim_batch", "knocker.events", "w", 10, 60)
        self.call(mark, event, *values)
        return event

    def status(self) -> Any:
        return self.one("select status from knocker_events")

    def claim(self, count: int = 10) -> Any:
        return json.loads(
            self.call("honker_claim_batch", "knocker.events", "w", count, 60)
        )

    def test_a_handled_one_can_be_replayed_but_neither_ignored_nor_requeued(
        self,
    ) -> None:
        event = self.held("knocker_mark_handled", 1)
        for later in (0, 61):
            self.call("knocker_clock_set", (self.T0 + later) * 1000)
            self.fails("wrong_status", "is handled", "knocker_ignore", event)
            self.fails("wrong_status", "is handled", "knocker_requeue", event)
        self.assertIsNone(self.call("knocker_replay", event))
        self.assertEqual("received", self.status())
        self.assertEqual(0, self.call("honker_ack", event, "w", 1))
        self.assertEqual([2], [job["attempts"] for job in self.claim()])

    def test_a_lease_that_runs_out_gives_nobody_a_settled_job(self) -> None:
        event = self.held("knocker_mark_handled", 1)
        self.call("knocker_clock_set", (self.T0 + 61) * 1000)
        self.assertEqual([], self.claim())
        self.assertEqual("handled", self.status())
        self.assertEqual(0, self.one("select count(*) from knocker_jobs"))
        self.assertEqual(0, self.call("honker_ack", event, "w"))

    def test_a_dead_one_is_listed_counted_explained_and_replayed(self) -> None:
        event = self.held("knocker_mark_failed", 1, "boom", 1, 5)
        why = json.loads(self.call("knocker_why", event))
        self.assertEqual(
            ("dead", "dead", None), (why["status"], why["cause"], why["due_at"])
        )
        (everything, _) = json.loads(self.call("knocker_stats"))
        self.assertEqual((1, 0), (everything["dead"], everything["processing"]))
        program = os.path.join(os.path.dirname(EXTENSION), "knocker")
        listed = subprocess.run(
            [program, "--db", self.path, "events", "--status", "dead", "--json"],
            capture_output=True,
            check=True,
        )
        self.assertEqual(event, json.loads(listed.stdout)["id"])
        self.assertIsNone(self.call("knocker_ignore", event))
        self.assertEqual("ignored", self.status())
        self.assertIsNone(self.call("knocker_replay", event))

    def test_a_failed_one_is_the_workers_until_it_gives_the_job_back(self) -> None:
        event = self.held("knocker_mark_failed", 1, "boom", 0, 5)
        self.assertEqual("processing", self.status())
        self.fails("wrong_status", "is processing", "knocker_replay", event)
        self.fails("wrong_status", "is processing", "knocker_ignore", event)

    def test_a_claim_of_one_goes_past_what_it_drops(self) -> None:
        self.call("knocker_clock_set", self.T0 * 1000)
        for payload, expires in (("late", 1), ("later", 1), ("good", None)):
            self.call("honker_enqueue", "q", payload, None, None, None, None, expires)
        self.call("knocker_clock_set", (self.T0 + 2) * 1000)
        (job,) = json.loads(self.call("honker_claim_batch", "q", "w", 1, 60))
        self.assertEqual("good", job["payload"])

    def test_what_a_dead_worker_left_is_due(self) -> None:
        self.call("knocker_clock_set", self.T0 * 1000)
        self.receive()
        self.claim()
        self.call("knocker_clock_set", (self.T0 + 90) * 1000)
        (everything, _) = json.loads(self.call("knocker_stats"))
        self.assertEqual(
            (1, 30, 1),
            (
                everything["due"],
                everything["oldest_due_age_s"],
                everything["processing"],
            ),
        )


class Arguments(SqlCase):
    def test_each_is_checked_and_named(self) -> None:
        receive: list[Any] = ["provider", None, None, None, "POST", "{}", b"", "{}"] + [
            None
        ] * 6
        names = "endpoint provider secrets_json options_json method headers_json body query_json provider_event_id".split()
        names += (
            "provider_delivery_id event_type dedupe_key queue_name max_attempts".split()
        )
        for at, name in enumerate(names):
            wrong = receive[:at] + [1.5] + receive[at + 1 :]
            self.fails("invalid_argument", name, "knocker_receive", *wrong)
        for function, values, saying in (
            ("honker_claim_batch", ("q", "w", 0, 60), "n is 0"),
            ("honker_claim_batch", ("q", "w", 1001, 60), "n is 1001"),
            ("honker_claim_batch", ("q", "", 1, 60), "worker_id"),
            ("honker_claim_batch", ("q", "w", 1, -1), "visibility_s"),
            ("honker_enqueue", ("", "x", None, None, None, None, None), "queue"),
            ("honker_enqueue", ("q", "x", None, None, -1, None, None), "priority"),
            ("honker_ack_batch", ("[1", "w"), "ids_json"),
            ("honker_ack_batch", ('["a"]', "w"), "ids_json"),
            ("knocker_prune_events", ('["dead"]', 1, 1, None), "dead"),
            ("knocker_prune_events", ("7", 1, 1, None), "statuses"),
            ("knocker_prune_events", (None, None, 1, None), "older_than"),
            ("knocker_prune_events", (None, 1, 0, None), "limit"),
            ("knocker_replay", ("one", None, None), "event_id"),
            ("knocker_endpoint_upsert", ("x", None, "strip", 1), "strip"),
            ("knocker_endpoint_upsert", ("", None, None, 1), "name"),
            ("knocker_endpoint_upsert", ("x", "/p", None, 1), "/p"),
            ("knocker_endpoint_upsert", ("x", None, None, 2), "enabled"),
            (
                "knocker_endpoint_upsert",
                ("x", None, None, 1, '{"colour": 1}'),
                "colour",
            ),
            ("knocker_endpoint_secrets", ("provider", '[""]', None), "secret"),
            (
                "knocker_verify",
                ("nobody", None, None, None, None, None, None, None),
                "nobody",
            ),
            ("knocker_settle", (1, "w", 1, "glorious", None, None), "glorious"),
            ("knocker_configure", ("[]",), "options_json"),
            ("knocker_configure", ("5",), "options_json"),
            ("knocker_endpoint_upsert", ("x", None, None, 1, "5"), "options_json"),
            ("honker_ack", (1, "w", -1), "attempts is -1"),
            ("honker_retry", (1, "w", 0, None, -1), "attempts is -1"),
        ):
            with self.subTest(function=function, values=values):
                self.fails("invalid_argument", saying, function, *values)

    def test_a_whole_number_may_come_as_a_double(self) -> None:
        event = self.receive(max_attempts=5.0)["event_id"]
        self.fails(
            "wrong_status", f"event {event} is received", "knocker_replay", float(event), None, None
        )
        for number in (1.5, 1e300, float("inf"), -float("inf"), 2.0**54):
            with self.subTest(number=number):
                self.fails(
                    "invalid_argument", "a real number", "knocker_replay", number, None, None
                )

    def test_a_wrong_number_of_arguments_is_said(self) -> None:
        self.fails("invalid_argument", "takes 14 to 15", "knocker_receive", "provider")

    def test_json_that_is_cut_deep_huge_or_not_utf8_is_refused(self) -> None:
        for text in (
            '{"a": ',
            "[" * 300_000,
            '{"a": "' + "x" * 2_000_000 + '"}',
            '{"a":1,"a":2}',
            '{"a\\u0000b": "c"}',
            "[1]",
            '{"a": 1}',
        ):
            with self.subTest(text=text[:20]):
                with self.assertRaisesRegex(sqlite3.Error, "headers_json"):
                    self.receive(headers=text)

    def test_a_header_cannot_smuggle_another(self) -> None:
        with self.assertRaisesRegex(sqlite3.Error, "line break"):
            self.receive(headers=json.dumps({"a": "b\nX-Knocker-Token: " + SECRET}))

    def test_unknown_ids_are_named(self) -> None:
        self.fails("unknown_event", "4711", "knocker_replay", 4711, None, None)
        self.fails(
            "unknown_delivery", "4711", "knocker_replay_delivery", 4711, None, None
        )
        self.fails("unknown_endpoint", "nobody", "knocker_pause", "nobody", 1)
        self.fails(
            "unknown_endpoint", "nobody", "knocker_reverify", "nobody", None, None
        )

    def test_what_is_verified_again_is_asked_for_rightly(self) -> None:
        name = "knocker_reverify"
        self.call("knocker_endpoint_upsert", "again", None, "stripe", 1)
        self.fails("invalid_argument", "endpoint is missing", name, None, None, None)
        self.fails("invalid_argument", "no secret", name, "again", None, None)
        self.call("knocker_endpoint_secrets", "again", '["whsec_1"]', None)
        self.assertEqual("[]", self.call(name, "again", None, None))
        for at, value, said in (
            (1, "today", "since"),
            (1, -1, "since is -1"),
            (2, 0, "limit is 0"),
            (2, 1001, "limit is 1001"),
            (3, 2, "dry_run"),
            (4, -1, "after_id is -1"),
            (5, "strip", "'strip'"),
            (6, "[", "secrets"),
            (7, "[]", "options"),
        ):
            with self.subTest(at=at, value=value):
                values = ["again", *[None] * 7]
                values[at] = value
                self.fails("invalid_argument", said, name, *values)

    def test_a_file_without_an_inbox_says_what_to_call(self) -> None:
        fresh = connect(os.path.join(self.folder.name, "fresh.db"))
        with self.assertRaisesRegex(sqlite3.Error, r"knocker_bootstrap\(\)"):
            fresh.execute("select knocker_stats()")

    def test_a_bootstrap_that_was_rolled_back_is_none(self) -> None:
        self.sqlite.close()
        self.path = os.path.join(self.folder.name, "other.db")
        self.sqlite = connect(self.path)
        self.sqlite.execute("begin")
        self.call("knocker_bootstrap")
        self.call("knocker_endpoint_upsert", "x", None, None, 1)
        self.sqlite.execute("rollback")
        self.fails("storage", "call knocker_bootstrap()", "knocker_stats")
        self.call("knocker_bootstrap")
        self.assertEqual(0, self.one("select count(*) from knocker_endpoints"))

    def test_a_newer_schema_is_refused(self) -> None:
        self.sqlite.execute("update _knocker_meta set value = 99 where key = 'schema'")
        other = connect(self.path)
        with self.assertRaisesRegex(sqlite3.Error, "schema 99"):
            other.execute("select knocker_stats()")


class Providers(SqlCase):
    def test_the_built_ins_are_a_table(self) -> None:
        rows = self.sqlite.execute(
            "select name, kind, has_replay_window from knocker_providers order by name"
        ).fetchall()
        self.assertIn(("github", "hmac", 0), rows)
        self.assertIn(("stripe", "hmac", 1), rows)
        options = json.loads(
            self.one("select options_json from knocker_providers where name = 'stripe'")
        )
        self.assertEqual(300, options["tolerance_s"]["default"])

    def test_the_curated_ones_are_marked(self) -> None:
        rows = dict(self.sqlite.execute("select name, curated from knocker_providers"))
        self.assertEqual((1, 0, 1), (rows["stripe"], rows["hubspot-v1"], rows["postmark"]))


class Secrets(SqlCase):
    def test_they_live_in_the_connection_and_never_in_the_file(self) -> None:
        secret = "s3cr3t-that-must-not-be-stored"
        self.call("knocker_endpoint_secrets", "provider", json.dumps([secret]), None)
        answer = self.receive(
            provider=None,
            secrets=None,
            options=None,
            headers=json.dumps({"x-knocker-token": secret}),
        )
        self.assertEqual(204, answer["status_code"])
        self.assertEqual(
            {"x-knocker-token": "[redacted]"},
            json.loads(self.one("select headers_json from knocker_events")),
        )
        self.sqlite.close()
        for name in os.listdir(self.folder.name):
            with open(os.path.join(self.folder.name, name), "rb") as file:
                self.assertNotIn(secret.encode(), file.read())
        self.sqlite = connect(self.path)
        with self.assertRaisesRegex(sqlite3.Error, "no secret"):
            self.receive(provider=None, secrets=None, options=None)

    def test_errors_never_show_one(self) -> None:
        with self.assertRaises(sqlite3.Error) as caught:
            self.call("knocker_endpoint_secrets", "provider", '["hush-hush"', None)
        self.assertNotIn("hush", str(caught.exception))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=1)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    print(f"extension: {result.testsRun - failed} passed, {failed} failed")
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
