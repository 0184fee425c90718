update _knocker_job
set due_ms = ?3
where id = ?1 and claims = ?2 and worker is not null
