select claims, worker, due_ms, status, topic, attempt_count, max_attempts, delivery_id, queue
from _knocker_job
where id = ?1
