SELECT paused_reason, paused_case, live_at, staged_case FROM accounts WHERE id = ?1 AND tenant = ?2
