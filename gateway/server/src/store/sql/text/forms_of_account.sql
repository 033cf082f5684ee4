SELECT f.document
FROM postings p
JOIN forms f ON f.account = p.account AND f.posting_id = p.posting_id AND f.digest = p.form_digest
WHERE p.account = ?1 AND p.closed_at IS NULL
ORDER BY p.posting_id
