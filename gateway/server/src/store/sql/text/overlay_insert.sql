INSERT INTO overlays (/*postgres tenant,*/ account, version, document, fields, note, saved_at, saved_by)
VALUES (/*postgres (SELECT tenant FROM accounts WHERE id = ?1),*/ ?1, ?2, ?3, ?4, ?5, ?6, ?7)
