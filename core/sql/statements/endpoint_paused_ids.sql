select id from _knocker_endpoint where paused = 1
