UPDATE accounts SET credentials_sealed = ?2 WHERE id = ?1
