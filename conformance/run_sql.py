"""The SQL door: the suite through the loadable extension build/knocker.so and Python's own sqlite3.

Each handle is a connection. What the extension has no function for (lists, look-ups) is a query of
its views, as people write it. A worker's step is the transaction of the SQL page: claim, begin
immediate, mark, the handler's SQL, mark, acknowledge, commit; what is not "handled" goes through
knocker_settle, which holds the rules.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import check
import play
from play import DoorError, Rows, Script, Words

BUILD = Path(os.environ.get("KNOCKER_BUILD", Path(__file__).resolve().parent.parent / "build"))
ERRORS = set(check.SCHEMA["$defs"]["error"]["enum"]) - {"sql"}
DEFAULT_QUEUE = "knocker.events"
SETTINGS = ("queue_name", "max_attempts", "backoff_base_s", "backoff_cap_s", "external", "scheme")
IDS = (
    "provider_event_id",
    "provider_delivery_id",
    "event_type",
    "dedupe_key",
    "queue_name",
    "max_attempts",
)
FILTERS = {
    "status": "status = :status",
    "endpoint": "endpoint = :endpoint",
    "event_type": "event_type = :event_type",
    "event_id": "event_id = :event_id",
    "kind": "kind = :kind",
    "before_id": "id < :before_id",
}
VIEWS = {
    "events": ("knocker_events", "received_at"),
    "deliveries": ("knocker_deliveries", "received_at"),
    "attempts": ("knocker_attempts", "attempted_at"),
    "audits": ("knocker_prune_audits", "executed_at"),
}


def as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def row_of(columns: Words) -> Words:
    """A view's row under the names of the format."""
    row = {"body" if name == "body_blob" else name: value for name, value in columns.items()}
    for name in ("headers", "query"):
        if f"{name}_json" in row:
            row[name] = json.loads(row[f"{name}_json"])
    return row


def answer_of(text: str) -> Words:
    """What receive, ingest and verify give, with the names of response headers in lower case."""
    answer: Words = json.loads(text)
    headers = answer.get("response_headers")
    if headers is not None:
        answer["response_headers"] = {name.lower(): value for name, value in headers.items()}
    return answer


class Handle:
    """A connection with the extension, and the handlers of the worker that uses it."""

    def __init__(self, path: str, options: Words, now_s: int) -> None:
        self.sqlite = sqlite3.connect(path, isolation_level=None, timeout=0)
        self.queues = [options.get("queue_name", DEFAULT_QUEUE)]
        self.visibility_s: int = options.get("visibility_timeout_s", 60)
        self.scripts: dict[tuple[str, str | None], Script] = {}
        self.sqlite.execute(f"pragma busy_timeout = {int(options.get('busy_timeout_ms', 2500))}")
        self.sqlite.execute("pragma journal_mode = wal")
        self.sqlite.enable_load_extension(True)
        self.sqlite.load_extension(str(BUILD / "knocker"))
        self.call("knocker_bootstrap")
        self.clock(now_s)
        settings = {name: value for name, value in options.items() if name != "busy_timeout_ms"}
        self.call("knocker_configure", as_json(settings))

    def clock(self, now_s: int) -> None:
        self.call("knocker_clock_set", now_s * 1000)

    def run(self, text: str, values: Any = ()) -> sqlite3.Cursor:
        """A statement; a failure has the name that the message begins with, else "sql"."""
        try:
            return self.sqlite.execute(text, values)
        except sqlite3.ProgrammingError as error:
            raise DoorError("closed", str(error)) from error
        except sqlite3.Error as error:
            name, _, text = str(error).partition(": ")
            raise DoorError(
                name if name in ERRORS else "sql", text if name in ERRORS else str(error)
            ) from error

    def call(self, function: str, *values: Any) -> Any:
        return self.run(f"select {function}({', '.join('?' * len(values))})", values).fetchone()[0]

    def rows(self, text: str, values: Any = ()) -> Rows:
        cursor = self.run(text, values)
        columns = [column[0] for column in cursor.description]
        return [row_of(dict(zip(columns, row, strict=True))) for row in cursor]

    def roll_back(self) -> None:
        if self.sqlite.in_transaction:
            self.run("rollback")

    def receive(self, words: Words) -> Words:
        provider = as_json(words["scheme"]) if "scheme" in words else words.get("provider")
        answer = self.call(
            "knocker_receive",
            words["endpoint"],
            provider,
            as_json(words.get("secrets")),
            as_json(words.get("options")),
            words.get("method"),
            as_json(words.get("headers")),
            words.get("body"),
            as_json(words.get("query")),
            *(words.get(name) for name in IDS),
            as_json(words.get("verdict")),
        )
        return answer_of(answer)

    def ingest(self, words: Words) -> Words:
        answer = self.call(
            "knocker_ingest",
            words["endpoint"],
            words.get("method"),
            as_json(words.get("headers")),
            words.get("body"),
            as_json(words.get("query")),
            words["signature_valid"],
            words.get("signature_error"),
            *(words.get(name) for name in IDS),
        )
        return answer_of(answer)


class Work(play.Tx):
    """One claimed job: its transaction begins with the first statement that needs it."""

    def __init__(self, handle: Handle, job: Words, worker: str, event: Words) -> None:
        self.handle = handle
        self.job = job
        self.worker = worker
        self.given = event
        self.lost: DoorError | None = None

    def event(self) -> Words:
        return self.given

    def begin(self) -> None:
        """Begins the handler's transaction and checks the fence; a lost lease stays lost."""
        if self.lost is not None:
            raise self.lost
        if self.handle.sqlite.in_transaction:
            return
        self.handle.run("begin immediate")
        try:
            self.handle.call("knocker_mark_processing", self.given["id"], self.job["attempts"])
        except DoorError as error:
            self.handle.roll_back()
            self.lost = error
            raise

    def sql(self, text: str, values: list[Any]) -> Rows:
        self.begin()
        return play.rows_of(self.handle.run(text, values), text)

    def receive(self, words: Words) -> Words:
        self.begin()
        return self.handle.receive(words)

    def ingest(self, words: Words) -> Words:
        self.begin()
        return self.handle.ingest(words)

    def extend(self, seconds: int) -> None:
        if self.handle.call("honker_heartbeat", self.job["id"], self.worker, seconds) != 1:
            raise DoorError("lease_lost", f"job {self.job['id']} was claimed again")

    def handled(self) -> None:
        self.begin()
        self.handle.call("knocker_mark_handled", self.given["id"], 0)
        self.handle.call("honker_ack", self.job["id"], self.worker)
        self.handle.run("commit")

    def settle(self, outcome: str, reason: str | None = None, delay_s: int = 0) -> None:
        """Undoes what the handler wrote, then records the outcome in a fresh transaction."""
        self.handle.roll_back()
        self.handle.run("begin immediate")
        attempts = self.job["attempts"]
        self.handle.call(
            "knocker_settle", self.job["id"], self.worker, attempts, outcome, reason, delay_s
        )
        self.handle.run("commit")

    def run(self, script: Script | None) -> bool:
        """Plays the handler and settles; whether this worker's outcome was recorded."""
        try:
            if script is None:
                self.settle("no_handler")
                return True
            ending = script(self)
            if ending is None:
                self.handled()
            elif "raise" in ending:
                self.settle("failed", ending["raise"])
            elif "retry_after" in ending:
                self.settle("retry_after", ending.get("reason"), ending["retry_after"])
            elif "ignore" in ending:
                self.settle("ignored", ending["ignore"])
            else:
                self.settle("dead", ending["dead"])
            return True
        except DoorError as error:
            if error.name != "lease_lost":
                raise
            return False
        finally:
            self.handle.roll_back()


class SqlDoor(play.Door):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.handles: dict[str, Handle] = {}

    def end(self) -> None:
        for handle in self.handles.values():
            handle.sqlite.close()
        super().end()

    def clock(self) -> None:
        for handle in self.handles.values():
            try:
                handle.clock(self.now_s)
            except DoorError as error:
                if error.name != "closed":
                    raise

    def open(self, on: str, options: Words) -> None:
        self.handles[on] = Handle(self.path, options, self.now_s)

    def close(self, on: str) -> None:
        self.handles[on].sqlite.close()

    def endpoint(self, on: str, words: Words) -> None:
        """The row, then its secrets in this connection; one that fails leaves no row."""
        handle = self.handles[on]
        settings = {name: words[name] for name in SETTINGS if words.get(name) is not None}
        verified = words["provider"] is not None and not words.get("external", False)
        arguments = (
            words["name"],
            words.get("path"),
            words["provider"],
            words.get("enabled", True),
        )
        handle.run("begin immediate")
        try:
            handle.call("knocker_endpoint_upsert", *arguments, as_json(settings))
            if verified or "secrets" in words:
                secrets, options = as_json(words.get("secrets", [])), as_json(words.get("options"))
                handle.call("knocker_endpoint_secrets", words["name"], secrets, options)
            handle.run("commit")
        finally:
            handle.roll_back()
        if settings.get("queue_name", handle.queues[0]) not in handle.queues:
            handle.queues.append(settings["queue_name"])

    def receive(self, on: str, words: Words) -> Words:
        return self.handles[on].receive(words)

    def receive_many(self, on: str, many: Rows) -> Rows:
        handle = self.handles[on]
        answers: Rows = []
        handle.run("begin immediate")
        try:
            for words in many:
                try:
                    answers.append(handle.receive(words))
                except DoorError as error:
                    answers.append({"fails": error.name})
            handle.run("commit")
        finally:
            handle.roll_back()
        return answers

    def ingest(self, on: str, words: Words) -> Words:
        return self.handles[on].ingest(words)

    def handle(self, on: str, endpoint: str, event_type: str | None, script: Script) -> None:
        self.handles[on].scripts[endpoint, event_type] = script

    def work(self, on: str, words: Words) -> list[int]:
        handle = self.handles[on]
        queues, worker = words.get("queues", handle.queues), words["worker_id"]
        done: list[int] = []
        left: int = words["max"]
        while left > 0:
            jobs = self._claim(handle, queues, worker, min(10, left))
            if not jobs:
                break
            for job in jobs:
                left -= 1
                self._run(handle, job, worker, done)
        return done

    def _claim(self, handle: Handle, queues: list[str], worker: str, count: int) -> Rows:
        for queue in queues:
            jobs: Rows = json.loads(
                handle.call("honker_claim_batch", queue, worker, count, handle.visibility_s)
            )
            if jobs:
                return jobs
        return []

    def _run(self, handle: Handle, job: Words, worker: str, done: list[int]) -> None:
        begun = handle.call("knocker_begin_work", job["id"], worker, job["attempts"])
        if begun is None:
            return
        event = self._event(handle, job, json.loads(begun))
        scripts = handle.scripts
        script = scripts.get(
            (event["endpoint"], event["event_type"]), scripts.get((event["endpoint"], None))
        )
        if Work(handle, job, worker, event).run(script):
            done.append(event["id"])

    def _event(self, handle: Handle, job: Words, begun: Words) -> Words:
        """The event as begin_work tells it; JSON holds no bytes, so the body is read beside it."""
        delivery = json.loads(job["payload"]).get("delivery_id") or begun["id"]
        (row,) = handle.rows("select body_blob from knocker_deliveries where id = ?", [delivery])
        return row_of(begun) | {"body": row["body"] or b""}

    def get(self, on: str, kind: str, row_id: int) -> Words:
        view = {"event": "knocker_events", "delivery": "knocker_deliveries"}[kind]
        rows = self.handles[on].rows(f"select * from {view} where id = ?", [row_id])
        if not rows:
            raise DoorError(f"unknown_{kind}", f"no {kind} has the id {row_id}")
        return rows[0]

    def list(self, on: str, kind: str, filter: Words) -> Rows:
        handle = self.handles[on]
        if kind == "jobs":
            return handle.rows("select * from knocker_jobs order by due_at, id")
        limit = filter.get("limit", 100)
        if not 1 <= limit <= 1000:
            raise DoorError("invalid_argument", f"a limit of {limit} is not between 1 and 1000")
        view, time = VIEWS[kind]
        tests = ["true"] + [FILTERS[name] for name in filter if name in FILTERS]
        if "since" in filter:
            tests.append(f"{time} >= :since")
        if "signature_valid" in filter:
            tests.append(f"signature_valid is {'' if filter['signature_valid'] else 'not '}1")
        if "orphaned" in filter:
            tests.append(f"event_id is {'' if filter['orphaned'] else 'not '}null")
        text = f"select * from {view} where {' and '.join(tests)} order by id desc limit {limit}"
        return handle.rows(text, filter)

    def act(self, on: str, verb: str, target: Any) -> None:
        handle = self.handles[on]
        if verb in ("pause", "resume"):
            handle.call("knocker_pause", target, int(verb == "pause"))
        elif verb == "ignore":
            handle.call("knocker_ignore", target)
        else:
            handle.call(f"knocker_{verb}", target, None, None)

    def reverify(self, on: str, words: Words) -> Rows:
        provider = as_json(words["scheme"]) if "scheme" in words else words.get("provider")
        text = self.handles[on].call(
            "knocker_reverify",
            *(words.get(name) for name in ("endpoint", "since", "limit")),
            int(words.get("dry_run", False)),
            words.get("after_id"),
            provider,
            as_json(words.get("secrets")),
            as_json(words.get("options")),
        )
        rows: Rows = json.loads(text)
        return rows

    def why(self, on: str, event_id: int) -> Words:
        why: Words = json.loads(self.handles[on].call("knocker_why", event_id))
        return why

    def stats(self, on: str) -> Rows:
        rows: Rows = json.loads(self.handles[on].call("knocker_stats"))
        return rows

    def prune(self, on: str, kind: str, words: Words) -> Words:
        handle = self.handles[on]
        rest = (words["older_than"], words.get("limit"), None, int(words.get("dry_run", False)))
        if kind == "orphans":
            counts = handle.call("knocker_prune_orphan_deliveries", *rest)
        else:
            counts = handle.call("knocker_prune_events", as_json(words.get("statuses")), *rest)
        got: Words = json.loads(counts)
        return got

    def verify(self, on: str, words: Words) -> Words:
        return answer_of(self._pure(on, "knocker_verify", as_json(words.get("secrets")), words))

    def diagnose(self, on: str, words: Words) -> Rows:
        others = as_json(words.get("others"))
        if "delivery" in words:
            found = self.handles[on].call(
                "knocker_diagnose_delivery",
                words["delivery"],
                as_json(words["scheme"]) if "scheme" in words else words.get("provider"),
                as_json(words.get("secrets")),
                as_json(words.get("options")),
                others,
            )
        else:
            secrets = as_json(words.get("secrets"))
            found = self._pure(on, "knocker_diagnose", secrets, words, others)
        causes: Rows = json.loads(found)
        return causes

    def sign(self, on: str, words: Words) -> Words:
        headers: Words = json.loads(self._pure(on, "knocker_sign", words.get("secret"), words))
        return {name.lower(): value for name, value in headers.items()}

    def _pure(
        self, on: str, function: str, secret: str | None, words: Words, *more: str | None
    ) -> str:
        answer: str = self.handles[on].call(
            function,
            as_json(words["scheme"]) if "scheme" in words else words.get("provider"),
            secret,
            as_json(words.get("options")),
            words.get("method"),
            as_json(words.get("headers")),
            words.get("body"),
            as_json(words.get("query")),
            self.now_s,
            *more,
        )
        return answer


if __name__ == "__main__":
    sys.exit(play.main("sql", SqlDoor, sys.argv[1:]))
