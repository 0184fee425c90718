update _knocker_job
set due_ms = null, worker = null
where id = ?1
