select topic
from _knocker_job
where queue = ?1 and due_ms is not null and topic > ?2
order by topic
limit 1
