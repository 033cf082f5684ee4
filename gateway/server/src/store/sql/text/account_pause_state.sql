SELECT tenant, paused_reason, paused_case FROM accounts WHERE id = ?1
/*postgres FOR NO KEY UPDATE*/
