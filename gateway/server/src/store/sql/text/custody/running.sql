SELECT id FROM accounts WHERE paused_since IS NULL ORDER BY created_at, id
