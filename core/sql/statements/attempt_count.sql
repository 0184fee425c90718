select count(*) from _knocker_attempt where job_id = ?1
