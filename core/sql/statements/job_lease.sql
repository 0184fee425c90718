update _knocker_job
set due_ms = ?2, worker = ?3, claims = claims + 1, alone = ?4, expired = ?5
where id = ?1
