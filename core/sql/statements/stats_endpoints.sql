select id, name, orphan_rows, orphan_bytes, orphans_dropped from _knocker_endpoint order by name
