select due_ms
from _knocker_job
where queue = ?1 and topic = ?2 and due_ms is not null
order by due_ms
limit 1
