SELECT d.seq
FROM deliveries d
WHERE d.account = ?1 AND d.lane = ?2 AND d.next_attempt_at <= ?3
    AND NOT EXISTS (
        SELECT 1
        FROM deliveries o
        WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying') AND o.seq <> d.seq
    )
ORDER BY d.next_attempt_at, d.seq
LIMIT ?4
