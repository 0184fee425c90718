select event_id from _knocker_delivery where id = ?1
