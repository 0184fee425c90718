update _knocker_job
set status = 'ignored', due_ms = null, worker = null, settled_ms = ?2, last_error = ?3
where id = ?1
