delete from _knocker_delivery where event_id = ?1 and event_id <> id
