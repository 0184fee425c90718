select id, received_ms, signature_error, event_type, provider_event_id, provider_delivery_id, method, query, headers, body,
       coalesce(length(body), 0) + length(cast(headers as blob))
from _knocker_delivery
where endpoint_id = ?1 and event_id is null and id > ?2
order by id
limit 1
