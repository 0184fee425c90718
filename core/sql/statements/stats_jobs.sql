select count(*) from _knocker_job where status = 'handled'
