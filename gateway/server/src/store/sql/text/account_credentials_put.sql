UPDATE accounts SET credentials_sealed = ?2, credentials_next_sealed = ?3, credentials_about = ?4 WHERE id = ?1
