"""The judge of the storm: reads the journals of its applications as they grow, and holds a copy of the file against
them. It looks with a connection of its own, so that no code of ours judges itself, and knows nothing of processes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import knocker
from laws import CALM, LAWS, Law

# The application's tables. The triggers write down, in the transaction that does it, what is deleted and what is to be
# done again: else a row that was pruned could not be told from one that was lost.
APPLICATION = """
create table effect(event_id integer not null, key text, nonce text not null, bad integer, chain integer);
create table purchase(key text not null);
create table gone_event(id integer not null, status text, due_ms integer, before_id integer);
create table gone_delivery(id integer not null, endpoint_id integer, event_id integer, key text);
create table gone_attempt(job_id integer, outcome text);
create table done_again(job_id integer, was text);
create trigger soak_job after delete on _knocker_job begin
	insert into gone_event values(old.id, old.status, old.due_ms, (select max(id) from _knocker_delivery));
end;
create trigger soak_delivery after delete on _knocker_delivery begin
	insert into gone_delivery values(old.id, old.endpoint_id, old.event_id, old.dedupe_key);
end;
create trigger soak_attempt after delete on _knocker_attempt begin
	insert into gone_attempt values(old.job_id, old.outcome);
end;
create trigger soak_again after update of status on _knocker_job
when old.status <> 'received' and new.status = 'received' begin
	insert into done_again values(old.id, old.status);
end;
"""

JOURNALS = """
create table answered(key text, event_id integer, delivery_id integer, duplicate integer);
create table refused(delivery_id integer);
create table act(word text, event_id integer);
create table trouble(sentence text);
create index answered_event on answered(event_id);
create index act_event on act(event_id);
"""

# What is in the file, and what was.
EVER = """
create temp table delivery_ever as
	select id, endpoint_id, event_id, dedupe_key as key, 0 as gone from _knocker_delivery
	union all select id, endpoint_id, event_id, key, 1 from gone_delivery;
create index delivery_ever_id on delivery_ever(id);
create temp table event_ever as
	select e.id, d.endpoint_id, d.key, e.status, e.due_ms, e.gone, e.before_id
	from (select id, status, due_ms, 0 as gone, null as before_id from _knocker_job
		union all select id, status, due_ms, 1, before_id from gone_event) e
	left join delivery_ever d on d.id = e.id;
create index event_ever_id on event_ever(id);
create index event_ever_key on event_ever(key);
create temp table attempt_ever as
	select job_id, outcome, 0 as gone from _knocker_attempt union all select job_id, outcome, 1 from gone_attempt;
create temp table again_ever as select job_id, was from done_again;
create temp table effect as select * from file.effect;
create temp table purchase as select * from file.purchase;
create index attempt_ever_job on attempt_ever(job_id);
create index again_ever_job on again_ever(job_id);
create index effect_event on effect(event_id);
create index effect_nonce on effect(nonce);
"""

STATS = """
select (select count(*) from knocker_jobs), (select count(*) from knocker_events where status = 'processing'),
	(select count(*) from knocker_events where status = 'failed'),
	(select count(*) from knocker_events where status = 'dead'),
	(select count(*) from knocker_events where status = 'ignored'),
	(select count(*) from knocker_events where status = 'handled'),
	(select count(*) from knocker_deliveries where event_id is null)
"""


FIGURES = """
select (select count(*) from effect), (select count(*) from effect where chain), (select count(*) from done_again),
	(select count(*) from gone_event), (select count(*) from gone_delivery where event_id is null)
"""
FIGURE_NAMES = ("effects", "events from handlers", "done again", "events pruned", "orphans pruned or pushed out")
DOORS = ("receive", "receive_many", "ingest", "python", "python_many", "async", "sql")


class Verdict:
    """What a judgement found: breaches by sort, and a sentence on each law that was broken."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sentences: list[str] = []

    def breach(self, sort: str, count: int, sentence: str) -> None:
        self.counts[sort] += count
        self.sentences.append(sentence)


class Judge:
    def __init__(self, folder: Path) -> None:
        self._journals = folder / "journals"
        self._read: dict[str, int] = {}  # how far
        self._ended: set[str] = set()
        self._ledger = sqlite3.connect(folder / "ledger.db", isolation_level=None)
        self._ledger.executescript("pragma journal_mode = off; pragma synchronous = off;" + JOURNALS)
        self._ledger.execute("pragma temp_store = memory")
        self.doors: Counter[str] = Counter()  # receipts by the door that answered
        self.words: Counter[str] = Counter()  # lines by their first word

    @property
    def receipts(self) -> int:
        return self.words["R"]

    # -- the journals

    def read(self) -> None:
        """Takes in what was written since. A line without its end is of a process that died while it wrote."""
        self._ledger.execute("begin")
        for path in sorted(self._journals.iterdir()):
            if path.name in self._ended:
                continue
            with path.open("rb") as file:
                file.seek(self._read.get(path.name, 0))
                lines, end, _ = file.read().rpartition(b"\n")
            self._read[path.name] = self._read.get(path.name, 0) + len(lines) + len(end)
            for line in lines.decode().split("\n") if end else ():
                self._take(line)
        self._ledger.execute("commit")

    def ended(self, journal: str) -> None:
        """Nobody writes to this one any more."""
        self.read()
        self._ended.add(journal)

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        parts = rest.split(" ")
        self.words[word] += 1
        if word == "R":
            self.doors[parts[0]] += 1
            self._ledger.execute("insert into answered values(?, ?, ?, ?)", parts[1:])
        elif word == "F":
            self._ledger.execute("insert into refused values(?)", parts[1:])
        elif word in ("I", "A", "N"):
            self._ledger.execute("insert into act values(?, ?)", [word, parts[1]])
        elif word not in ("B", "L"):
            self._ledger.execute("insert into trouble values(?)", [line])

    # -- the file

    def judge(self, copy: Path, calm: bool) -> Verdict:
        """Holds a copy of the file, of which nobody else knows, against all journals."""
        verdict = Verdict()
        self._ledger.execute("attach ? as file", [str(copy)])
        try:
            said = [row[0] for row in self._ledger.execute("pragma file.integrity_check")]
            if said != ["ok"]:
                verdict.breach("wrong", len(said), f"the file is damaged: {said[0]}")
            self._ledger.executescript(EVER)
            for law in [*LAWS, CALM] if calm else LAWS:
                count, example = self._broken(law)
                if count:
                    verdict.breach(law.sort, count, f"not so: {law.sentence}: {count} times, as {example!r}")
        finally:
            self._forget()
        self._count(copy, verdict)
        return verdict

    def prove(self, copy: Path) -> list[str]:
        """The laws that do not notice the damage that each must notice. The copy was judged and found good."""
        blind = []
        self._ledger.execute("attach ? as file", [str(copy)])
        try:
            self._ledger.executescript(EVER)
            for law in [*LAWS, CALM]:
                self._ledger.execute("begin")
                self._ledger.execute(law.damage)
                if not self._broken(law)[0]:
                    blind.append(law.sentence)
                self._ledger.execute("rollback")
        finally:
            self._forget()
        return blind

    def figures(self, copy: Path) -> dict[str, int]:
        """What there was to judge. A storm in which one of these is 0 has shown nothing about it."""
        connection = sqlite3.connect(copy)
        numbers = connection.execute(FIGURES).fetchone()
        connection.close()
        doors = {f"receipts by {door}": self.doors[door] for door in DOORS}
        return {**doors, "refusals": self.words["F"], **dict(zip(FIGURE_NAMES, numbers))}

    def _broken(self, law: Law) -> tuple[int, object]:
        count, example = self._ledger.execute(
            f"with broken(what) as ({law.query}) select count(*), min(what) from broken"
        ).fetchone()
        return count, example

    def _forget(self) -> None:
        for name in ("delivery_ever", "event_ever", "attempt_ever", "again_ever", "effect", "purchase"):
            self._ledger.execute(f"drop table if exists temp.{name}")
        self._ledger.execute("detach file")

    def _count(self, copy: Path, verdict: Verdict) -> None:
        """Knocker's own numbers are those of its views."""
        with knocker.open(copy, existing=True) as inbox:
            row = inbox.stats()[0]
        told = (row.queued, row.processing, row.failed, row.dead, row.ignored, row.handled, row.orphans)
        connection = sqlite3.connect(copy)
        counted = connection.execute(STATS).fetchone()
        connection.close()
        if told != counted:
            verdict.breach("wrong", 1, f"stats says {told}, and there are {counted}")
