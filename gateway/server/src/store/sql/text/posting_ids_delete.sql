DELETE FROM posting_ids WHERE account = ?1 AND posting_id = ?2
