insert into _knocker_prune_audit (kind, queue_name, executed_ms, events, deliveries, attempts, live_jobs, summary_json)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
