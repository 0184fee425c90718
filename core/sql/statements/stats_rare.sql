select topic, status, count(*)
from _knocker_job indexed by _knocker_job_rare
where status = 'failed' or status = 'dead' or status = 'ignored'
group by topic, status
