update _knocker_job
set status = 'dead', due_ms = null, worker = null, settled_ms = ?3, last_error = ?4
where id = ?1 and claims = ?2 and worker is not null
