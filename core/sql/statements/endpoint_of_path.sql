select name from _knocker_endpoint where path = ?1 and name <> ?2
