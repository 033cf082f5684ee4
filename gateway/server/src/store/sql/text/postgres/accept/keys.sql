INSERT INTO wrapped_keys (owner, kind, tenant, wrapped)
SELECT * FROM unnest(?1::bytea[], ?2::text[], ?3::bytea[], ?4::bytea[])
