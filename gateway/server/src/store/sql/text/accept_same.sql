-- By the person: a posting may have very many.
SELECT receipt
FROM submissions
WHERE tenant = ?1 AND email_exact = ?2 AND posting_id /*postgres || ''*/ = ?3 AND received_at >= ?4 AND kind = 'accepted'
    AND fingerprint = ?5 AND test = ?6 AND receipt IS NOT NULL
ORDER BY received_at
LIMIT 1
