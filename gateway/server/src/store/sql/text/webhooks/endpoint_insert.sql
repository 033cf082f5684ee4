INSERT INTO webhook_endpoints (id, tenant, url, events, test, allow_private, secrets_sealed, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
