select id, enabled, provider, queue, max_attempts, backoff_base_ms, backoff_cap_ms, orphan_rows, orphan_bytes, paused
from _knocker_endpoint
where name = ?1
