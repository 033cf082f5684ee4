INSERT INTO steps (/*postgres tenant,*/ delivery, step, done_at) VALUES (/*postgres (SELECT tenant FROM deliveries WHERE id = ?1),*/ ?1, ?2, ?3) ON CONFLICT DO NOTHING
