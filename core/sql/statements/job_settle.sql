update _knocker_job
set status = coalesce(?3, status), due_ms = ?4, worker = null, attempt_count = attempt_count + ?5, settled_ms = ?6,
    last_error = ?7, expired = 0, alone = 0
where id = ?1 and claims = ?2 and worker is not null
