-- By the person: a posting may have very many.
SELECT id
FROM submissions
WHERE tenant = ?1 AND email_exact = ?2 AND posting_id /*postgres || ''*/ = ?3 AND received_at >= ?4 AND kind = 'accepted'
    AND test = ?5
ORDER BY received_at
LIMIT 1
