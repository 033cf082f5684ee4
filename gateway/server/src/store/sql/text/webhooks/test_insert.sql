INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, status, next_at)
VALUES (?1, ?2, ?3, 'webhook.test', ?4, ?5, 'waiting', ?4)
