UPDATE api_keys SET suspended = 1 WHERE revoked_at IS NULL
