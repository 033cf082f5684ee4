UPDATE webhook_endpoints SET removed_at = ?2, secrets_sealed = NULL WHERE id = ?1 AND removed_at IS NULL
