insert into _knocker_meta (key, value)
select 'floor', ?1
where ?1 > coalesce((select max(id) from _knocker_job), 0) and ?1 > coalesce((select max(id) from _knocker_delivery), 0)
on conflict (key) do update set value = max(value, excluded.value)
