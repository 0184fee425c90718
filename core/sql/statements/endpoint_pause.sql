update _knocker_endpoint set paused = ?2 where name = ?1
