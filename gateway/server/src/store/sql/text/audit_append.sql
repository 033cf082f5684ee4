INSERT INTO audit (tenant, position, at, actor, action, subject, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
