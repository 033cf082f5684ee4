INSERT INTO api_keys (id, tenant, name, hash, scopes, origins, test, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
