select coalesce(min(id), 1) from _knocker_delivery
