SELECT * FROM webhook_messages WHERE id = ?1 AND tenant = ?2
