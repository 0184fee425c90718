select e.name, e.paused, j.last_error, d.provider_event_id
from _knocker_job j
cross join _knocker_delivery d on d.id = j.id
cross join _knocker_endpoint e on e.id = j.topic
where j.id = ?1
