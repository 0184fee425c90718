select j.id, e.name as endpoint, j.kind as event_type, d.provider_event_id, d.provider_delivery_id, d.dedupe_key,
       case when j.worker is not null and (j.status = 'received' or j.status = 'failed') then 'processing'
            else j.status end as status,
       j.attempt_count, d.headers as headers_json, d.query as query_json, iif(?6, null, coalesce(d.body, x'')) as body,
       d.received_ms / 1000 as received_at, case j.status when 'handled' then j.settled_ms / 1000 end as handled_at, j.last_error
from _knocker_job j
cross join _knocker_delivery d on d.id = j.id
cross join _knocker_endpoint e on e.id = j.topic
where j.topic > 0 and j.id < ?1 and j.id >= ?2 and (?3 is null or j.topic = ?3) and (?4 is null or j.kind = ?4)
  and (?7 is null or (j.status = ?7 and (j.worker is null or (?7 <> 'received' and ?7 <> 'failed')))
       or (?7 = 'processing' and j.worker is not null and (j.status = 'received' or j.status = 'failed')))
order by j.id desc
limit ?5
