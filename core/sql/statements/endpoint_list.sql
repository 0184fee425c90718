select id, name, path, provider, enabled, paused, queue as queue_name, created_ms / 1000 as created_at
from _knocker_endpoint
where ?1 is null or name > ?1
order by name
limit ?2
