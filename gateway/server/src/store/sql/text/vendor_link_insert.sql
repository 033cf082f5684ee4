INSERT INTO vendor_links (/*postgres tenant,*/ account, vendor_id, delivery, linked_at) VALUES (/*postgres (SELECT tenant FROM accounts WHERE id = ?1),*/ ?1, ?2, ?3, ?4)
ON CONFLICT (account, vendor_id) DO NOTHING
