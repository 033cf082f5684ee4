SELECT id, tenant, url, events, test, allow_private, created_at, failing_since, disabled_at, disabled_reason
FROM webhook_endpoints
WHERE removed_at IS NULL AND (?1 IS NULL OR tenant = ?1)
ORDER BY created_at, id
