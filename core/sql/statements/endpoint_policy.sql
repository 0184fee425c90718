select max_attempts, backoff_base_ms, backoff_cap_ms, name
from _knocker_endpoint
where id = ?1
