SELECT id, tenant, name, connector, role, settings, allow_private, on_invalid, repeats, on_unknown, sandbox, created_at,
    paused_reason, paused_since, last_complete_sync
FROM accounts
WHERE ?1 IS NULL OR tenant = ?1
ORDER BY created_at, id
