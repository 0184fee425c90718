select e.name, d.event_type
from _knocker_job j
cross join _knocker_delivery d on d.id = coalesce(j.delivery_id, j.id)
cross join _knocker_endpoint e on e.id = j.topic
where j.id = ?1
