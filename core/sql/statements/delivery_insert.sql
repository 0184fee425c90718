insert into _knocker_delivery (id, endpoint_id, event_id, received_ms, signature_valid, signature_error, event_type,
                               provider_event_id, provider_delivery_id, dedupe_key, method, query, headers, body)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
on conflict do nothing
