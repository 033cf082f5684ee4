UPDATE postings SET closed_at = ?3 WHERE account = ?1 AND posting_id = ?2
