INSERT INTO syncs (/*postgres tenant,*/ account, started_at, complete, listed, opened, changed, closed)
VALUES (/*postgres (SELECT tenant FROM accounts WHERE id = ?1),*/ ?1, ?2, ?3, ?4, ?5, ?6, ?7)
