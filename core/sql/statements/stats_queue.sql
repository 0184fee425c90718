select topic, count(*), sum(due_ms <= ?1), min(iif(worker is null or due_ms <= ?1, due_ms, null)),
       sum(worker is not null and (status = 'received' or status = 'failed'))
from _knocker_job
where due_ms is not null
group by topic
