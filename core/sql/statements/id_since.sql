select received_ms
from _knocker_delivery
where id >= ?1
order by id
limit 1
