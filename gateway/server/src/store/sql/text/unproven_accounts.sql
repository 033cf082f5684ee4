-- Accounts are few: one index probe each. ?2: from where on, where that is known; SQLite always looks at everything.
SELECT a.id
FROM accounts a
WHERE a.paused_since IS NULL
    AND EXISTS (
        SELECT 1
        FROM deliveries d
        WHERE d.account = a.id AND d.read_back_at <= ?1 AND CAST(?2 AS TEXT) IS NOT NULL
            /*postgres AND d.read_back_at >= coalesce(
                (SELECT CAST(?2 AS TEXT)::jsonb ->> encode(a.id, 'hex'))::bigint,
                (SELECT CAST(?2 AS TEXT)::jsonb ->> '')::bigint,
                -9223372036854775808)*/
    )
