-- Accounts are few: one index probe for each lane, oldest due work first. ?2: from where on, where that is known; SQLite
-- always looks at everything.
SELECT tenant, id
FROM (
    SELECT a.tenant, a.id, (
        SELECT d.next_attempt_at
        FROM deliveries d
        WHERE d.account = a.id AND d.lane = l.lane AND d.next_attempt_at <= ?1 AND CAST(?2 AS TEXT) IS NOT NULL
            /*postgres AND d.next_attempt_at >= coalesce(
                (SELECT CAST(?2 AS TEXT)::jsonb ->> (encode(a.id, 'hex') || l.lane))::bigint,
                (SELECT CAST(?2 AS TEXT)::jsonb ->> '')::bigint,
                -9223372036854775808)*/
            AND (
                SELECT o.seq
                FROM deliveries o
                WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying')
                    AND o.seq <> d.seq
                LIMIT 1
            ) IS NULL
        ORDER BY d.next_attempt_at
        LIMIT 1
    ) AS due_since
    FROM accounts a
    CROSS JOIN (SELECT 0 AS lane UNION ALL SELECT 1) l
    WHERE a.paused_since IS NULL
) AS accounts_due
GROUP BY tenant, id
HAVING min(due_since) IS NOT NULL
ORDER BY min(due_since)
