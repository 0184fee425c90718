select (select count(*) from _knocker_delivery where id = ?1)
     + (select count(*) from _knocker_delivery where event_id = ?1 and event_id <> id)
