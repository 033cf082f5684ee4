UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL WHERE disabled_reason = 'restored'
