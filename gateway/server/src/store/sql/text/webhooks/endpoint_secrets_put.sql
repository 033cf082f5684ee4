UPDATE webhook_endpoints SET secrets_sealed = ?2 WHERE id = ?1 AND removed_at IS NULL
