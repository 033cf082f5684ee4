SELECT id, tenant, paused_reason, paused_case, live_at, staged_case FROM accounts WHERE id = ANY (?1::bytea[])
