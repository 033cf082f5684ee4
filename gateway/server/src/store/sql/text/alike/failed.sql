INSERT INTO alike (/*postgres tenant,*/ account, mark, delivery, step, class, posting_id, last_at, times, clean)
SELECT /*postgres d.tenant,*/ ?1, ?2, d.id, ?4, ?5, s.posting_id, ?6, 1, 1
FROM deliveries d
JOIN submissions s ON s.id = d.submission AND s.kind = 'accepted'
WHERE d.id = ?3
ON CONFLICT (account, mark, delivery) DO UPDATE SET last_at = excluded.last_at, times = alike.times + 1, clean = 1
