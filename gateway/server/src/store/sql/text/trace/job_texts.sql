-- Everything that this posting is called.
SELECT DISTINCT text FROM posting_ids WHERE account = ?1 AND posting_id = ?2
