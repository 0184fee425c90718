select 1 + max(coalesce((select max(id) from _knocker_delivery), 0), coalesce((select max(id) from _knocker_job), 0),
               coalesce((select value from _knocker_meta where key = 'floor'), 0)),
       (select received_ms from _knocker_delivery where id = (select max(id) from _knocker_delivery))
