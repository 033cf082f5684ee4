UPDATE accounts SET last_complete_sync = ?2 WHERE id = ?1
