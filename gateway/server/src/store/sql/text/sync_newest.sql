SELECT max(started_at) FROM syncs WHERE account = ?1
