SELECT m.seq, m.next_at
FROM webhook_messages AS m INDEXED BY webhook_messages_due
JOIN webhook_endpoints AS e ON e.id = m.endpoint AND e.removed_at IS NULL AND e.disabled_at IS NULL
WHERE m.endpoint = ?1 AND m.next_at <= ?2 AND m.next_at >= ?4
ORDER BY m.next_at, m.seq
LIMIT ?3
/*postgres FOR UPDATE OF m SKIP LOCKED*/
