SELECT min((
    SELECT min(d.next_attempt_at)
    FROM deliveries d
    WHERE d.account = a.id AND d.lane = l.lane AND d.next_attempt_at > ?1
))
FROM accounts a, (SELECT 0 AS lane UNION ALL SELECT 1) l
WHERE a.paused_since IS NULL
