INSERT INTO forms (/*postgres tenant,*/ account, posting_id, digest, document, first_seen_at)
VALUES (/*postgres (SELECT tenant FROM accounts WHERE id = ?1),*/ ?1, ?2, ?3, ?4, ?5)
ON CONFLICT (account, posting_id, digest) DO NOTHING
