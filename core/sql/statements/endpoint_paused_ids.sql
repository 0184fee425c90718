select id from _knocker_endpoint where paused = 1 order by id
