DELETE FROM webhook_messages WHERE seq IN (
  SELECT seq FROM webhook_messages INDEXED BY webhook_messages_by_time WHERE at < ?1 LIMIT ?2)
