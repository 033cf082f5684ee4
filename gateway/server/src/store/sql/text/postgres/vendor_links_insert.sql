INSERT INTO vendor_links (account, vendor_id, delivery, linked_at, tenant)
SELECT * FROM unnest(?1::bytea[], ?2::text[], ?3::bytea[], ?4::bigint[], ?5::bytea[])
ON CONFLICT (account, vendor_id) DO NOTHING
