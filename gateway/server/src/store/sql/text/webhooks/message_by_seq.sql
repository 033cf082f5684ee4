SELECT * FROM webhook_messages WHERE seq = ?1
