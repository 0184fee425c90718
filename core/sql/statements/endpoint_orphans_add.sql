update _knocker_endpoint
set orphan_rows = orphan_rows + ?2, orphan_bytes = orphan_bytes + ?3, orphans_dropped = orphans_dropped + ?4
where id = ?1
