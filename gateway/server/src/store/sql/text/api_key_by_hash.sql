SELECT id, tenant, name, scopes, origins, test, created_at, revoked_at, suspended FROM api_keys WHERE hash = ?1 AND revoked_at IS NULL AND suspended = 0
