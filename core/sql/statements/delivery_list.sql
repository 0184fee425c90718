with page (id) as materialized (
	select j.id from _knocker_job j
	where j.topic > 0 and ?5 <> 1 and ?6 <> 2 and j.id < ?1 and j.id >= ?2 and (?3 is null or j.topic = ?3)
	  and (?4 is null or j.kind = ?4)
	  and (?6 <> 1 or not exists (select 1 from _knocker_delivery u where u.endpoint_id = j.topic and u.id = j.id
	                              and u.event_id = u.id and u.signature_valid is null))
	union all
	select o.id from _knocker_endpoint p cross join _knocker_delivery o on o.endpoint_id = p.id
	where ?5 <> 2 and ?6 <> 1 and o.event_id is null and o.id < ?1 and o.id >= ?2 and (?3 is null or p.id = ?3)
	  and (?4 is null or o.event_type = ?4)
	union all
	select r.id from _knocker_endpoint p cross join _knocker_delivery r on r.endpoint_id = p.id
	where ?5 <> 1 and r.event_id <> r.id and r.id < ?1 and r.id >= ?2 and (?3 is null or p.id = ?3)
	  and (?4 is null or r.event_type = ?4) and (?6 = 0 or (?6 = 1) = (r.signature_valid is 1))
	union all
	select u.id from _knocker_endpoint p cross join _knocker_delivery u on u.endpoint_id = p.id
	where ?5 <> 1 and ?6 = 2 and u.event_id = u.id and u.signature_valid is null and u.id < ?1 and u.id >= ?2
	  and (?3 is null or p.id = ?3) and (?4 is null or u.event_type = ?4)
	order by 1 desc
	limit ?7
)
select d.id, d.event_id, e.name as endpoint, d.event_type, d.provider_event_id, d.provider_delivery_id, d.dedupe_key, d.method,
       d.headers as headers_json, d.query as query_json, iif(?8, null, d.body) as body, d.received_ms / 1000 as received_at,
       d.signature_valid, d.signature_error
from page
cross join _knocker_delivery d on d.id = page.id
cross join _knocker_endpoint e on e.id = d.endpoint_id
