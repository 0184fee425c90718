select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_id, d.dedupe_key, d.method,
       d.headers as headers_json, d.query as query_json, d.body, d.received_ms / 1000 as received_at, d.signature_valid,
       d.signature_error
from _knocker_delivery d
cross join _knocker_endpoint e on e.id = d.endpoint_id
where d.id = ?1
