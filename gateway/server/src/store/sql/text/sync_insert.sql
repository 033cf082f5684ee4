INSERT INTO syncs (account, started_at, complete, listed, opened, changed, closed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
