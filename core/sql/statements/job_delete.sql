delete from _knocker_job where id = ?1
