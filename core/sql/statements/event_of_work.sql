select j.id, e.name as endpoint, d.event_type, o.provider_event_id, o.provider_delivery_id, o.dedupe_key,
       'processing' as status, j.attempt_count, d.headers as headers_json, d.query as query_json, coalesce(d.body, x'') as body,
       o.received_ms / 1000 as received_at, null as handled_at, j.last_error
from _knocker_job j
cross join _knocker_delivery o on o.id = j.id
cross join _knocker_delivery d on d.id = coalesce(j.delivery_id, j.id)
cross join _knocker_endpoint e on e.id = j.topic
where j.id = ?1
