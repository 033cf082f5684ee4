SELECT tenant, secrets_sealed FROM webhook_endpoints WHERE id = ?1 AND removed_at IS NULL
