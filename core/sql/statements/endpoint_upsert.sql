insert into _knocker_endpoint (name, path, provider, enabled, queue, max_attempts, backoff_base_ms, backoff_cap_ms, created_ms)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
on conflict (name) do update set path = excluded.path, provider = excluded.provider, enabled = excluded.enabled,
    queue = excluded.queue, max_attempts = excluded.max_attempts, backoff_base_ms = excluded.backoff_base_ms,
    backoff_cap_ms = excluded.backoff_cap_ms
