SELECT id, tenant, name, scopes, origins, test, created_at, revoked_at, suspended FROM api_keys WHERE tenant = ?1 ORDER BY created_at, id
