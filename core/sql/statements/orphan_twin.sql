select id, signature_error
from _knocker_delivery
where endpoint_id = ?1 and event_id is null and provider_event_id = ?2
order by id desc
limit 1
