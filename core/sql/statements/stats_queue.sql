select topic, count(*), sum(due_ms <= ?1 and worker is null), min(iif(worker is null, due_ms, null)), sum(worker is not null)
from _knocker_job
where due_ms is not null
group by topic
