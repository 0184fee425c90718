update _knocker_job
set due_ms = max(?2, due_ms - ?3)
where topic > 0 and due_ms >= ?1
