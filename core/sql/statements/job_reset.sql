update _knocker_job
set status = 'received', attempt_count = 0, due_ms = null, worker = null, settled_ms = null, last_error = null, delivery_id = null
where id = ?1
