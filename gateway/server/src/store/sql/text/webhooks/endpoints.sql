SELECT id, tenant, url, events, test, allow_private, created_at, failing_since, disabled_at, disabled_reason
FROM webhook_endpoints
WHERE removed_at IS NULL AND tenant = coalesce(?1, tenant)
ORDER BY created_at, id
