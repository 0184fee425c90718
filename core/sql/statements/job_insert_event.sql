insert into _knocker_job (id, queue, topic, kind, due_ms, max_attempts)
values (?1, ?2, ?3, ?4, ?5, ?6)
