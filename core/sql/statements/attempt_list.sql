select job_id * 1000000 + claim as id, job_id as event_id, attempted_ms / 1000 as attempted_at, outcome, error, duration_ms
from _knocker_attempt
where job_id = ?1 and job_id * 1000000 + claim < ?2
order by claim desc
limit ?3
