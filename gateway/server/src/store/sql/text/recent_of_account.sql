SELECT s.id, s.posting_id, s.posting_account, s.received_at, d.form_digest
FROM deliveries AS d INDEXED BY deliveries_of_account
JOIN submissions AS s ON s.id = d.submission AND s.kind = 'accepted'
WHERE d.account = ?1 AND s.erased_at IS NULL AND s.document_sealed IS NOT NULL AND d.state <> 'erased'
ORDER BY d.seq DESC
LIMIT ?2
