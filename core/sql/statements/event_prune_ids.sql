select id, due_ms is not null
from _knocker_job
where topic > 0 and id > ?5 and id < ?1 and ((?2 = 1 and status = 'handled') or (?3 = 1 and status = 'ignored'))
order by id
limit ?4
