SELECT tenant, credentials_sealed FROM accounts WHERE id = ?1
