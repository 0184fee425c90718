update _knocker_job
set status = 'received', attempt_count = 0, due_ms = ?2, worker = null, expired = 0, alone = 0, settled_ms = null, last_error = null,
    delivery_id = ?3, queue = coalesce(?4, queue), max_attempts = coalesce(?5, max_attempts)
where id = ?1
