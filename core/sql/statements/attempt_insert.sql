insert into _knocker_attempt (job_id, claim, attempted_ms, outcome, duration_ms, error)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (job_id, claim) do update set attempted_ms = excluded.attempted_ms, outcome = excluded.outcome,
    duration_ms = excluded.duration_ms, error = excluded.error
