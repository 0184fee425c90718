select d.id, d.endpoint_id, coalesce(length(d.body), 0) + length(cast(d.headers as blob))
from _knocker_endpoint e
cross join _knocker_delivery d on d.endpoint_id = e.id
where d.event_id is null and d.id > ?3 and d.id < ?1
order by d.id
limit ?2
