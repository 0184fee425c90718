select j.id, e.name as endpoint, j.kind as event_type, d.provider_event_id, d.provider_delivery_id, d.dedupe_key,
       j.status, j.attempt_count, d.headers as headers_json, d.query as query_json,
       iif(?6, null, coalesce(d.body, x'')) as body, d.received_ms / 1000 as received_at, null as handled_at, j.last_error
from _knocker_job j indexed by _knocker_job_rare
cross join _knocker_delivery d on d.id = j.id
cross join _knocker_endpoint e on e.id = j.topic
where j.status = ?7 and (j.status = 'failed' or j.status = 'dead' or j.status = 'ignored') and (j.worker is null or j.status <> 'failed')
  and j.id < ?1 and j.id >= ?2 and (?3 is null or j.topic = ?3) and (?4 is null or j.kind = ?4)
order by j.id desc
limit ?5
