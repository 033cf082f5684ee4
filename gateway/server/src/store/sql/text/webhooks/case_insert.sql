INSERT INTO cases (id, tenant, endpoint, reason, opened_at) VALUES (?1, ?2, ?3, ?4, ?5)
