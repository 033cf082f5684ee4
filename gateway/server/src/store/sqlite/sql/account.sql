SELECT id, tenant, name, connector, role, settings, allow_private, on_invalid, repeats, on_unknown, sandbox, created_at,
    paused_reason, paused_since, last_complete_sync
FROM accounts
WHERE id = ?1
