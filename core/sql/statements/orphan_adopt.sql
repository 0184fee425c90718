update _knocker_delivery
set event_id = ?2, signature_valid = 1, event_type = ?3, provider_event_id = ?4, provider_delivery_id = ?5, dedupe_key = ?6
where id = ?1 and event_id is null
