delete from _knocker_delivery where id = ?1
