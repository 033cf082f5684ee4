SELECT d.seq, d.next_attempt_at
FROM deliveries d
WHERE d.account = ?1 AND d.lane = ?2 AND d.next_attempt_at <= ?3 AND d.next_attempt_at >= ?5
    AND (
        -- One index probe for each row as it comes; as a join it would be made for all of them.
        SELECT o.seq
        FROM deliveries o
        WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying') AND o.seq <> d.seq
        LIMIT 1
    ) IS NULL
ORDER BY d.next_attempt_at, d.seq
LIMIT ?4
/*postgres FOR UPDATE OF d SKIP LOCKED*/
