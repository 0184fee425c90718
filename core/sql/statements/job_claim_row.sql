select j.queue, case when j.topic > 0 then null else j.payload end, j.worker, j.claims, coalesce(j.max_attempts, e.max_attempts),
       j.due_ms, j.delivery_id
from _knocker_job j
left join _knocker_endpoint e on e.id = j.topic
where j.id = ?1
