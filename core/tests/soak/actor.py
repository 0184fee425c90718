"""An application in Python of the storm, through the public package: the same as the one in C, and what only Python
has: `receive_async`, and connections of its own with the SQL door.

    actor.py FILE JOURNAL NAME SEED [calm]

It writes what it was answered into its journal, after the answer, in the lines that soak.h describes. It runs until it
is killed or nobody holds its standard input any more; a calm one works the queue through and ends.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import knocker

SECRET = "whsec_storm_secret"
PURCHASE = "select knocker_ingest('inner', 'POST', null, ?, null, 1, null, null, null, 'sale', ?, null, null)"


class Torn(BaseException):
    """What ends a handler, and with it its worker, without an outcome."""


class Journal:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def line(self, *words: object) -> None:
        text = (" ".join(str(word) for word in words)[:590].replace("\n", " ") + "\n").encode()
        if os.write(self._file, text) != len(text):
            sys.exit("the journal was written in part")

    def failure(self, what: str, error: BaseException) -> None:
        if isinstance(error, knocker.Busy) or str(error).startswith(("busy", "database is locked")):
            self.line("B", what)
        elif isinstance(error, knocker.LeaseLost):
            self.line("L", what)
        else:
            self.line("X", what, type(error).__name__, error)


class Sent:
    """A request as a sender makes it. One in three is an event that all processes send in these two seconds."""

    def __init__(self, app: App, forged: bool) -> None:
        self.forged = forged
        if forged:
            self.key = f"forged-{app.number()}"
        elif random.randrange(3) == 0:
            tick = int(time.time() * 10) - random.randrange(20)
            self.key = f"shared-{tick}-{random.randrange(8)}"
        else:
            self.key = f"own-{app.number()}"
        pad = random.randrange(60000) if random.randrange(100) == 0 else random.randrange(200, 1500)
        event = {"id": self.key, "object": "event", "type": "charge.succeeded", "n": pad, "pad": "x" * pad}
        self.body = json.dumps(event).encode()

    def headers(self) -> dict[str, str]:
        """A forgery has no signature, that of another secret, or one from an hour ago."""
        how = random.randrange(3) if self.forged else 3
        if how == 0:
            return {"Content-Type": "application/json"}
        now = time.time() - 3600 if how == 1 else None
        return knocker.sign("stripe", secrets=["whsec_other" if how == 2 else SECRET], body=self.body, now=now)


class App:
    def __init__(self, path: str, journal: Journal, name: str, calm: bool) -> None:
        self.path, self.journal, self.name, self.calm = path, journal, name, calm
        self._numbers = itertools.count()
        self.inbox = self._again(
            lambda: knocker.open(
                path, visibility_timeout_s=0.6, backoff_base_s=0.05, backoff_cap_s=0.4, orphan_rows=300
            )
        )
        self._again(lambda: self.inbox.add_endpoint("stripe", provider="stripe", secrets=[SECRET]))
        self._again(lambda: self.inbox.add_endpoint("inner"))
        self.inbox.add_handler("stripe", self.handle)
        self.inbox.add_handler("inner", self.handle)

    def _again(self, act: Callable[[], Any]) -> Any:
        """Many start at once, so that this too may find the file busy."""
        while True:
            try:
                return act()
            except knocker.Busy as error:
                self.journal.failure("open", error)

    def number(self) -> str:
        return f"{self.name}-{next(self._numbers)}"

    def backlog(self) -> int:
        return int(self.inbox.read("select count(*) as n from knocker_jobs")[0]["n"])

    # -- receiving

    def answered(self, door: str, sent: Sent, result: knocker.IngestResult | BaseException) -> None:
        if isinstance(result, BaseException):
            self.journal.failure(door, result)
        elif result.event_id and result.status_code // 100 == 2 and not sent.forged:
            self.journal.line("R", door, sent.key, result.event_id, result.delivery_id, int(result.duplicate))
        elif result.status_code == 401 and result.event_id is None and result.delivery_id and sent.forged:
            self.journal.line("F", door, result.delivery_id)
        else:
            self.journal.line("X", door, "wrong_answer", sent.key, result)

    def receive(self) -> None:
        sent = Sent(self, random.randrange(12) == 0)
        self.answered("python", sent, self.inbox.receive("stripe", sent.body, sent.headers()))
        time.sleep(random.random() * 0.02)
        if random.randrange(32) == 0:
            while self.backlog() > 1500:
                time.sleep(0.05)

    def receive_many(self) -> None:
        many = [Sent(self, random.randrange(12) == 0) for _ in range(random.randint(1, 20))]
        requests: list[knocker.Request] = [
            {"endpoint": "stripe", "body": sent.body, "headers": sent.headers()} for sent in many
        ]
        for sent, result in zip(many, self.inbox.receive_many(requests)):
            self.answered("python_many", sent, result)
        time.sleep(random.random() * 0.2)

    async def receive_async(self) -> None:
        """A route of an event loop, several of which run in one turn."""
        while True:
            sent = Sent(self, random.randrange(12) == 0)
            try:
                self.answered("async", sent, await self.inbox.receive_async("stripe", sent.body, sent.headers()))
            except knocker.Error as error:
                self.journal.failure("async", error)
            await asyncio.sleep(random.random() * 0.08)

    def buy(self, connection: sqlite3.Connection) -> None:
        """The application's row and the event in one transaction, or neither."""
        key = f"sale-{self.number()}"
        try:
            connection.execute("begin immediate")
            connection.execute("insert into purchase values(?)", [key])
            result = json.loads(connection.execute(PURCHASE, [b"{}", key]).fetchone()[0])
            if random.randrange(10) == 0:
                connection.execute("rollback")
                return
            connection.execute("commit")
            self.journal.line("R", "sql", key, result["event_id"], result["delivery_id"], result["duplicate"])
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("rollback")
            self.journal.failure("sql", error)

    def buy_often(self) -> None:
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        while True:
            self.buy(connection)
            time.sleep(random.random() * 0.03)

    # -- working

    def handle(self, event: knocker.Event, tx: knocker.Tx) -> None:
        chance = 1.0 if self.calm else random.random()
        bad = chance < 0.1
        if 0.1 <= chance < 0.11:
            time.sleep(random.random() * 0.03)
        elif 0.11 <= chance < 0.111:
            time.sleep(random.random() * 1.2)  # longer than its lease, at times
        chain = event.endpoint == "stripe" and not self.calm and random.randrange(20) == 0
        nonce = f"inner-{self.number()}"
        if chance >= 0.02:
            tx.execute("insert into effect values(?, ?, ?, ?, ?)", [event.id, event.dedupe_key, nonce, bad, chain])
            if chain:
                tx.ingest("inner", b"", signature_valid=None, event_type="inner", dedupe_key=nonce)
        if bad:
            raise random.choice(
                [ValueError("by chance"), ValueError("by chance"), knocker.RetryAfter(random.random() / 5 + 0.001)]
                + [knocker.Ignore("by chance"), knocker.Dead("by chance"), Torn()]
            )

    async def work(self) -> None:
        while True:
            try:
                await self.inbox.run_worker(self.name)
            except Torn:
                pass
            except knocker.Error as error:
                self.journal.failure("worker", error)

    # -- operating

    def act_often(self) -> None:
        for _ in range(random.randint(1, 10)):
            self.act()

    def act(self) -> None:
        name = random.choice(["replay", "requeue", "replay_delivery"])
        if name == "replay_delivery":
            deliveries = self.inbox.list_deliveries(orphaned=False, limit=100)
            found = random.choice(deliveries) if deliveries else None
            event_id = found.event_id if found else None
        else:
            status = random.choice(["handled", "handled", "dead", "failed", "ignored"])
            events = self.inbox.list_events(status=status, limit=100)
            found = random.choice(events) if events else None
            event_id = found.id if found else None
        if found is None or event_id is None:
            return
        self.journal.line("I", name, event_id)
        try:
            getattr(self.inbox, name)(found.id)
            self.journal.line("A", name, event_id)
        except (knocker.WrongStatus, knocker.UnknownEvent, knocker.UnknownDelivery):
            self.journal.line("N", name, event_id)

    def ignore(self) -> None:
        status = random.choice(["received", "failed", "dead", "processing"])
        for event in self.inbox.list_events(status=status, limit=1):
            try:
                self.inbox.ignore(event.id, "by the operator")
            except (knocker.WrongStatus, knocker.UnknownEvent):
                pass

    def prune(self) -> None:
        now = int(time.time())
        if random.randrange(10) == 0:  # whatever is settled
            self.inbox.prune_events(older_than=now + 1)
        self.inbox.prune_events(older_than=now - 4, limit=1000)
        self.inbox.prune_orphan_deliveries(older_than=now - 2, limit=50)

    def operate(self) -> None:
        random.choice([self.act_often, self.act_often, self.ignore, self.prune, self.inbox.stats])()
        time.sleep(random.random() * 0.06)

    # -- all of it

    async def storm(self) -> None:
        def often(act: Callable[[], None]) -> Callable[[], None]:
            def run() -> None:
                while True:
                    try:
                        act()
                    except knocker.Error as error:
                        self.journal.failure(act.__name__, error)

            return run

        for act in (often(self.receive), often(self.receive_many), often(self.operate), self.buy_often):
            threading.Thread(target=act, daemon=True).start()
        await asyncio.gather(self.work(), *(self.receive_async() for _ in range(4)))

    def work_through(self) -> None:
        while self.backlog() > 0:
            try:
                self.inbox.drain(self.name)
            except knocker.Busy as error:
                self.journal.failure("drain", error)
            time.sleep(0.02)
        self.inbox.close()


def end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def fail(arguments: threading.ExceptHookArgs) -> None:
    """A thread that ends by an error that nobody expects ends the process, so that it is heard of."""
    if isinstance(arguments.exc_value, Torn):
        return
    threading.__excepthook__(arguments)
    os._exit(3)


def main() -> None:
    path, journal, name, seed = sys.argv[1:5]
    calm = sys.argv[5:] == ["calm"]
    random.seed(f"{seed} {name}")
    logging.getLogger("knocker").setLevel("CRITICAL")  # failures are what handlers are here for
    threading.excepthook = fail
    knocker.autoload()
    app = App(path, Journal(journal), name, calm)
    if calm:
        app.work_through()
    else:
        threading.Thread(target=end_with_parent, daemon=True).start()
        asyncio.run(app.storm())


if __name__ == "__main__":
    main()
