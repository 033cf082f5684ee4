INSERT INTO vendor_links (account, vendor_id, delivery, linked_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (account, vendor_id) DO NOTHING
