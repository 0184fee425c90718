select id, coalesce(length(body), 0) + length(cast(headers as blob))
from _knocker_delivery
where endpoint_id = ?1 and event_id is null
order by id
limit 1
