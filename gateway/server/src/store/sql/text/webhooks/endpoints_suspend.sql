UPDATE webhook_endpoints SET disabled_at = ?1, disabled_reason = 'restored'
WHERE disabled_at IS NULL AND removed_at IS NULL
