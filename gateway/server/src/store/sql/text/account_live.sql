SELECT tenant, live_at, staged_case FROM accounts WHERE id = ?1
