update _knocker_job
set due_ms = null, worker = null
where id = ?1 and claims = ?2 and worker is not null
