select j.id, j.queue as queue_name, e.name as endpoint, case when j.topic > 0 then j.id end as event_id, j.delivery_id,
       j.due_ms / 1000 as due_at, j.worker as worker_id, j.claims, j.payload
from _knocker_job j
left join _knocker_endpoint e on e.id = j.topic
where j.due_ms is not null and j.id < ?1 and (?2 is null or j.topic = ?2)
order by j.due_ms, j.id
limit ?3
