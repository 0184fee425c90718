select id, kind, queue_name, executed_ms / 1000 as executed_at, events as events_pruned, deliveries as deliveries_pruned,
       attempts as attempts_pruned, live_jobs as live_jobs_pruned, summary_json
from _knocker_prune_audit
where id < ?1 and (?2 is null or kind = ?2) and executed_ms >= ?3
order by id desc
limit ?4
