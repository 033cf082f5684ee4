UPDATE postings SET form_digest = ?3, form_fetched_at = ?4 WHERE account = ?1 AND posting_id = ?2
