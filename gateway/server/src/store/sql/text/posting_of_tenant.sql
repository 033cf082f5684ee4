-- Where two accounts list the same id, the older account's. ?3: of sandbox accounts, or of all others.
SELECT p.account, p.tenant, p.posting_id, p.document_sealed, p.closed_at, p.form_digest, p.form_fetched_at
FROM postings p
JOIN accounts a ON a.id = p.account
WHERE p.tenant = ?1 AND p.posting_id = ?2 AND a.sandbox = ?3
ORDER BY a.created_at, a.id
LIMIT 1
