SELECT d.id, s.posting_id, d.said_yes_at, d.seen_at
FROM deliveries AS d INDEXED BY deliveries_of_account
JOIN submissions AS s ON s.id = d.submission AND s.kind = 'accepted'
WHERE d.account = ?1 AND d.said_yes_at IS NOT NULL AND d.state = 'delivered'
ORDER BY d.seq DESC
LIMIT ?2
