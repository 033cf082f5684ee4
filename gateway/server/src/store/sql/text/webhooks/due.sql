-- ?2: from where on, where that is known; SQLite always looks at everything.
SELECT e.id
FROM webhook_endpoints AS e
WHERE e.removed_at IS NULL AND e.disabled_at IS NULL
    AND EXISTS (SELECT 1 FROM webhook_messages AS m INDEXED BY webhook_messages_due
                WHERE m.endpoint = e.id AND m.next_at <= ?1 AND CAST(?2 AS TEXT) IS NOT NULL
                    /*postgres AND m.next_at >= coalesce(
                        (SELECT CAST(?2 AS TEXT)::jsonb ->> encode(e.id, 'hex'))::bigint,
                        (SELECT CAST(?2 AS TEXT)::jsonb ->> '')::bigint,
                        -9223372036854775808)*/)
ORDER BY e.id
