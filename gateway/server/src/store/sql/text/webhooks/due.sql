SELECT e.id
FROM webhook_endpoints AS e
WHERE e.removed_at IS NULL AND e.disabled_at IS NULL
    AND EXISTS (SELECT 1 FROM webhook_messages AS m INDEXED BY webhook_messages_due
                WHERE m.endpoint = e.id AND m.next_at <= ?1)
ORDER BY e.id
