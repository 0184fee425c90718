select id, claims, worker is not null, expired, alone, expires_ms, status <> 'received' and status <> 'failed'
from _knocker_job
where queue = ?1 and topic = ?2 and due_ms <= ?3
order by due_ms, id
limit ?4
