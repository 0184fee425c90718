insert into _knocker_job (id, queue, topic, due_ms, max_attempts, payload, expires_ms)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
