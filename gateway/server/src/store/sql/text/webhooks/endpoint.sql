SELECT id, tenant, url, events, test, allow_private, created_at, failing_since, disabled_at, disabled_reason
FROM webhook_endpoints
WHERE id = ?1 AND removed_at IS NULL
