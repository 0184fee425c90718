select coalesce(max(id), 0) from _knocker_delivery
