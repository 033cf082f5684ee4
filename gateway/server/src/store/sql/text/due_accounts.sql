-- Accounts are few: one index probe each, oldest due work first.
SELECT tenant, id
FROM (
    SELECT a.tenant, a.id, (
        SELECT min(d.next_attempt_at)
        FROM deliveries d
        WHERE d.account = a.id AND d.lane IN (0, 1) AND d.next_attempt_at <= ?1
            AND NOT EXISTS (
                SELECT 1
                FROM deliveries o
                WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying')
                    AND o.seq <> d.seq
            )
    ) AS due_since
    FROM accounts a
    WHERE a.paused_since IS NULL
)
WHERE due_since IS NOT NULL
ORDER BY due_since
