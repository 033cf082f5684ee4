UPDATE webhook_endpoints SET disabled_at = ?2, disabled_reason = ?3
WHERE id = ?1 AND disabled_at IS NULL AND removed_at IS NULL
