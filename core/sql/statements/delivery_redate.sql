update _knocker_delivery set received_ms = ?2 where id >= ?1
