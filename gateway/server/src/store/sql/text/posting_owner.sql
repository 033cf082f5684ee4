SELECT p.account
FROM submissions s
JOIN postings p ON p.tenant = s.tenant AND p.posting_id = s.posting_id
JOIN accounts a ON a.id = p.account AND a.sandbox = s.test
WHERE s.id = ?1 AND s.kind = 'accepted'
ORDER BY a.created_at, a.id
LIMIT 1
