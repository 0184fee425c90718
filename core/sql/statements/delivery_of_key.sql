select id
from _knocker_delivery
where endpoint_id = ?1 and dedupe_key = ?2 and event_id = id and dedupe_key is not null
