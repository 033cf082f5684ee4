-- Accounts and endpoints are few: an index probe each, in the order of what is due.
SELECT
    (
        SELECT min((
            SELECT d.next_attempt_at
            FROM deliveries AS d
            WHERE d.account = a.id AND d.lane = l.lane AND d.next_attempt_at <= ?1
                AND NOT EXISTS (
                    SELECT 1
                    FROM deliveries AS o
                    WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying')
                        AND o.seq <> d.seq
                )
            ORDER BY d.next_attempt_at
            LIMIT 1
        ))
        FROM accounts AS a, (SELECT 0 AS lane UNION ALL SELECT 1) AS l
        WHERE a.paused_since IS NULL
    ) AS deliveries,
    (
        SELECT min((
            SELECT m.next_at
            FROM webhook_messages AS m
            WHERE m.endpoint = e.id AND m.next_at <= ?1
            ORDER BY m.next_at
            LIMIT 1
        ))
        FROM webhook_endpoints AS e
        WHERE e.removed_at IS NULL AND e.disabled_at IS NULL
    ) AS webhooks,
    (
        SELECT min((
            SELECT d.read_back_at
            FROM deliveries AS d
            WHERE d.account = a.id AND d.read_back_at <= ?1
            ORDER BY d.read_back_at
            LIMIT 1
        ))
        FROM accounts AS a
        WHERE a.paused_since IS NULL
    ) AS read_backs
