select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_id, d.dedupe_key, d.method,
       d.headers as headers_json, d.query as query_json, iif(?8, null, d.body) as body, d.received_ms / 1000 as received_at,
       d.signature_valid, d.signature_error
from (select id from _knocker_delivery where id = ?9 and event_id = ?9
      union all
      select id from _knocker_delivery where event_id = ?9 and event_id <> id) c
cross join _knocker_delivery d on d.id = c.id
cross join _knocker_endpoint e on e.id = d.endpoint_id
where d.id < ?1 and d.id >= ?2 and (?3 is null or d.endpoint_id = ?3) and (?4 is null or d.event_type = ?4)
  and ?5 <> 1 and (?6 = 0 or (?6 = 1 and d.signature_valid = 1) or (?6 = 2 and d.signature_valid is not 1))
order by d.id desc
limit ?7
