insert into _knocker_meta (key, value)
values ('floor', ?1)
on conflict (key) do update set value = max(value, excluded.value)
