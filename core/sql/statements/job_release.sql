update _knocker_job
set due_ms = ?3, worker = null, alone = 0
where id = ?1 and claims = ?2 and worker is not null
