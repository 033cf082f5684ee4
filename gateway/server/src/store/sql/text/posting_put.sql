INSERT INTO postings (account, posting_id, tenant, document_sealed, content_hash, first_seen_at, changed_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
ON CONFLICT (account, posting_id) DO UPDATE
SET document_sealed = excluded.document_sealed, content_hash = excluded.content_hash,
    changed_at = excluded.changed_at, closed_at = NULL
