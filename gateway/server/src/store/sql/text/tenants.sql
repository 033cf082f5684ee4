SELECT id, name, created_at FROM tenants ORDER BY created_at, name
