SELECT paused_reason, paused_case FROM accounts WHERE id = ?1 AND tenant = ?2
