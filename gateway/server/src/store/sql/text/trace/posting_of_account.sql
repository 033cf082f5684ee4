SELECT 1 FROM postings WHERE account = ?1 AND posting_id = ?2
