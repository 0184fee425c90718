"""The laws of the storm. Each is a query that must find nothing, beside the damage by which it is shown to find
something.

What they read: `answered`, `refused`, `act`, `trouble` are the journals; `event_ever`, `delivery_ever`, `attempt_ever`,
`again_ever` are what is in the file with what was pruned from it; `_knocker_*` and the application's own `effect` and
`purchase` are the file. `effect` is the row that a handler writes, with `bad` where it is to fail afterwards, and
`chain` where it also ingested an event of its own, whose key is the effect's `nonce`.
"""

from __future__ import annotations

from typing import NamedTuple


class Law(NamedTuple):
    sort: str  # what a breach is: lost, doubled or wrong
    sentence: str
    query: str
    damage: str


LAWS = [
    # -- what was answered is there
    Law(
        "lost",
        "a receipt that was answered is there, as it was answered",
        """select a.key from answered a left join delivery_ever d on d.id = a.delivery_id
        where d.id is null or d.event_id is not a.event_id or d.key is not a.key""",
        "delete from delivery_ever where id = (select max(delivery_id) from answered)",
    ),
    Law(
        "lost",
        "its event is there",
        "select a.key from answered a left join event_ever e on e.id = a.event_id where e.id is null",
        "delete from event_ever where id = (select max(event_id) from answered)",
    ),
    Law(
        "lost",
        "a refusal that was answered is there, and is no event",
        """select r.delivery_id from refused r left join delivery_ever d on d.id = r.delivery_id
        where d.id is null or d.event_id is not null""",
        "delete from delivery_ever where id = (select max(delivery_id) from refused)",
    ),
    Law(
        "lost",
        "what is gone was pruned or pushed out, and that was counted",
        """select 'events' where (select total(events) from _knocker_prune_audit)
            <> (select total(gone) from event_ever)
        union all select 'deliveries' where (select total(deliveries) from _knocker_prune_audit)
            + (select total(orphans_dropped) from _knocker_endpoint) <> (select total(gone) from delivery_ever)
        union all select 'attempts' where (select total(attempts) from _knocker_prune_audit)
            <> (select total(gone) from attempt_ever)
        union all select 'jobs' where (select total(live_jobs) from _knocker_prune_audit)
            <> (select count(*) from event_ever where gone and due_ms is not null)""",
        "update event_ever set gone = 1 where id = (select max(id) from event_ever where not gone)",
    ),
    Law(
        "lost",
        "only what was handled or ignored was pruned",
        "select id from event_ever where gone and status not in ('handled', 'ignored')",
        "update event_ever set status = 'failed' where id = (select max(id) from event_ever where gone)",
    ),
    Law(
        "lost",
        "a dead or ignored event says why",
        "select id from _knocker_job where status in ('dead', 'ignored') and last_error is null",
        """update _knocker_job set status = 'dead', due_ms = null, worker = null, last_error = null
        where id = (select max(id) from _knocker_job)""",
    ),
    # -- nothing is there twice
    Law(
        "doubled",
        "a key has one event at a time",
        """select a.key from event_ever a join event_ever b
        on b.key = a.key and b.endpoint_id = a.endpoint_id and b.id > a.id
        where not a.gone or b.id <= a.before_id""",
        """insert into event_ever select id + 1000000000, endpoint_id, key, status, due_ms, gone, before_id
        from event_ever where id = (select max(id) from event_ever where not gone and key is not null)""",
    ),
    Law(
        "doubled",
        "an event is answered as new once",
        "select event_id from answered where not duplicate group by event_id having count(*) > 1",
        "insert into answered select * from answered where not duplicate limit 1",
    ),
    Law(
        "doubled",
        "the delivery that made an event was answered as new, and no other",
        "select key from answered where duplicate = (event_id = delivery_id)",
        "update answered set duplicate = 1 - duplicate where rowid = (select max(rowid) from answered)",
    ),
    Law(
        "doubled",
        "an event has an effect for each run that was recorded as handled",
        """select id from event_ever e where (select count(*) from effect where event_id = e.id and not bad)
        <> (select count(*) from attempt_ever where job_id = e.id and outcome = 'handled')""",
        "insert into effect select * from effect where rowid = (select max(rowid) from effect)",
    ),
    Law(
        "doubled",
        "it was handled once, and once more after each time that a handled event was done again",
        """select id from event_ever e
        where (select count(*) from attempt_ever where job_id = e.id and outcome = 'handled')
        <> (select count(*) from again_ever where job_id = e.id and was = 'handled') + (e.status = 'handled')""",
        """insert into attempt_ever select id, 'handled', 0
        from event_ever where id = (select max(id) from event_ever)""",
    ),
    Law(
        "doubled",
        "a run of a handler that failed has no effect",
        "select nonce from effect where bad",
        "update effect set bad = 1 where rowid = (select max(rowid) from effect)",
    ),
    Law(
        "doubled",
        "a run has one effect",
        "select nonce from effect group by nonce having count(*) > 1",
        "insert into effect select * from effect where rowid = (select max(rowid) from effect)",
    ),
    Law(
        "doubled",
        "an effect is of the event that it names",
        """select f.nonce from effect f left join event_ever e on e.id = f.event_id
        where e.id is null or e.key is not f.key""",
        "update effect set key = 'another' where rowid = (select max(rowid) from effect)",
    ),
    # -- replays and requeues
    Law(
        "lost",
        "an event is done again when that was answered",
        """select event_id from act where word = 'A' group by event_id
        having count(*) > (select count(*) from again_ever where job_id = event_id)""",
        "delete from again_ever where job_id = (select max(event_id) from act where word = 'A')",
    ),
    Law(
        "doubled",
        "an event is done again only when somebody asks",
        """select job_id from again_ever group by job_id
        having count(*) > (select total(word = 'I') - total(word = 'N') from act where event_id = job_id)""",
        "insert into again_ever select id, 'handled' from event_ever where id = (select max(id) from event_ever)",
    ),
    # -- what is written together
    Law(
        "lost",
        "what a handler ingests is there with its effect",
        """select nonce from effect f left join event_ever e on e.key = f.nonce
        where chain and not bad and e.id is null""",
        "delete from event_ever where id = (select max(id) from event_ever where key like 'inner-%')",
    ),
    Law(
        "doubled",
        "what a handler ingests is not there without its effect",
        """select e.key from event_ever e left join effect f on f.nonce = e.key and f.chain
        where e.key like 'inner-%' and f.nonce is null""",
        "delete from effect where rowid = (select max(rowid) from effect where chain)",
    ),
    Law(
        "lost",
        "what the application ingests in a transaction is there with its row, and not without",
        """select key from purchase where key not in (select key from event_ever where key like 'sale-%')
        union all
        select key from event_ever where key like 'sale-%' and key not in (select key from purchase)""",
        "delete from purchase where rowid = (select max(rowid) from purchase)",
    ),
    # -- ids and times
    Law(
        "wrong",
        "no id is given twice",
        """select id from (select id from delivery_ever group by id having count(*) > 1)
        union all
        select delivery_id from (select delivery_id from answered union all select delivery_id from refused)
        group by delivery_id having count(*) > 1""",
        "insert into refused select * from refused limit 1",
    ),
    Law(
        "wrong",
        "time does not run backwards from one id to the next",
        """select id from (select id, received_ms - lag(received_ms) over (order by id) as step from _knocker_delivery)
        where step < 0""",
        """update _knocker_delivery set received_ms = received_ms - 3600000
        where id = (select max(id) from _knocker_delivery)""",
    ),
    # -- what may be an event, and how it looks
    Law(
        "wrong",
        "no forgery is an event",
        "select id from _knocker_delivery where event_id is not null and provider_event_id like 'forged-%'",
        """update _knocker_delivery set event_id = (select max(id) from _knocker_job)
        where id = (select max(id) from _knocker_delivery where provider_event_id like 'forged-%')""",
    ),
    Law(
        "wrong",
        "a body is stored as it was sent",
        """select id from _knocker_delivery where event_id is not null and provider_event_id is not null
        and (json_extract(cast(body as text), '$.id') is not dedupe_key
            or length(json_extract(cast(body as text), '$.pad')) is not json_extract(cast(body as text), '$.n'))""",
        """update _knocker_delivery set body = cast(replace(body, 'xx', 'x') as blob)
        where id = (select max(id) from _knocker_delivery
            where event_id is not null and provider_event_id is not null)""",
    ),
    # -- rows have their partners
    Law(
        "wrong",
        "an event has its delivery, and a delivery its event",
        """select id from _knocker_job where topic > 0
        and id not in (select id from _knocker_delivery where event_id = id)
        union all
        select id from _knocker_delivery where event_id not in (select id from _knocker_job)""",
        "delete from _knocker_job where id = (select max(id) from _knocker_job)",
    ),
    Law(
        "wrong",
        "an event is queued or done with",
        """select id from _knocker_job where (due_ms is null) <> (status in ('handled', 'dead', 'ignored'))""",
        "update _knocker_job set due_ms = 1 where id = (select max(id) from _knocker_job where status = 'handled')",
    ),
    Law(
        "wrong",
        "an attempt is of a claim of an event",
        """select job_id from _knocker_attempt a where not exists
        (select 1 from _knocker_job j where j.id = a.job_id and j.claims >= a.claim)""",
        "update _knocker_attempt set claim = 100000 where job_id = (select max(job_id) from _knocker_attempt)",
    ),
    Law(
        "wrong",
        "an endpoint counts its orphans rightly",
        """select name from _knocker_endpoint e where (orphan_rows, orphan_bytes) <>
        (select count(*), total(coalesce(length(body), 0) + length(cast(headers as blob)))
        from _knocker_delivery d where d.endpoint_id = e.id and d.event_id is null)""",
        "update _knocker_endpoint set orphan_bytes = orphan_bytes + 1 where name = 'stripe'",
    ),
    Law(
        "wrong",
        "the views show what is there",
        """select 'events' where (select count(*) from knocker_events) <> (select count(*) from _knocker_job)
        union all select 'deliveries' where (select count(*) from knocker_deliveries)
            <> (select count(*) from _knocker_delivery)
        union all select 'attempts' where (select count(*) from knocker_attempts)
            <> (select count(*) from _knocker_attempt)
        union all select 'jobs' where (select count(*) from knocker_jobs)
            <> (select count(*) from knocker_events where status in ('received', 'failed', 'processing'))""",
        "delete from _knocker_endpoint where name = 'inner'",
    ),
    # -- the applications themselves
    Law(
        "wrong",
        "no application met with an error that it could not expect",
        "select sentence from trouble",
        "insert into trouble values('an error')",
    ),
]

# Holds only when workers had time to work the queue through.
CALM = Law(
    "wrong",
    "no event is stuck",
    "select id from _knocker_job where due_ms is not null or status in ('received', 'failed')",
    "update _knocker_job set status = 'received' where id = (select max(id) from _knocker_job)",
)
