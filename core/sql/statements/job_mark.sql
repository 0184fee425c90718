update _knocker_job
set status = ?3, attempt_count = attempt_count + ?4, settled_ms = ?5, last_error = ?6
where id = ?1 and claims = ?2 and worker is not null
