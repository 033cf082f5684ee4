SELECT id FROM accounts WHERE tenant = ?1 AND (id = ?2 OR name = ?3)
