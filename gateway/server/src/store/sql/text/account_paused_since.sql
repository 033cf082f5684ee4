SELECT paused_since FROM accounts WHERE id = ?1
/*postgres FOR NO KEY UPDATE*/
