select value from _knocker_meta where key = ?1
