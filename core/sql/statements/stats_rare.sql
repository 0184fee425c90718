select topic, status, count(*)
from _knocker_job indexed by _knocker_job_rare
where (status = 'failed' or status = 'dead' or status = 'ignored') and (worker is null or status <> 'failed')
group by topic, status
