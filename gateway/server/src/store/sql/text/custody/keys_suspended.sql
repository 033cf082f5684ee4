SELECT k.id, k.tenant, t.name AS tenant_name, k.name FROM api_keys AS k JOIN tenants AS t ON t.id = k.tenant
WHERE k.suspended = 1 AND k.revoked_at IS NULL
ORDER BY t.name, k.name, k.id
