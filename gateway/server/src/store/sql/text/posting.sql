SELECT account, tenant, posting_id, document_sealed, closed_at, form_digest, form_fetched_at FROM postings WHERE account = ?1 AND posting_id = ?2
