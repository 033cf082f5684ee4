UPDATE accounts SET credentials_about = ?2 WHERE id = ?1
