SELECT posting_id, content_hash, closed_at IS NOT NULL AS closed FROM postings WHERE account = ?1
