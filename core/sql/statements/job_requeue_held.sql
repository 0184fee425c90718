update _knocker_job
set due_ms = ?3, worker = null, last_error = coalesce(?4, last_error)
where id = ?1 and claims = ?2 and worker is not null
