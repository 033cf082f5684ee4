INSERT INTO cases (id, tenant, account, delivery, reason, opened_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
