INSERT INTO checklist (/*postgres tenant,*/ account, item, done, note, at, actor)
VALUES (/*postgres (SELECT tenant FROM accounts WHERE id = ?1),*/ ?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (account, item) DO UPDATE SET done = ?3, note = ?4, at = ?5, actor = ?6
