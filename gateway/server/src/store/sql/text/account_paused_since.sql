SELECT paused_since FROM accounts WHERE id = ?1
