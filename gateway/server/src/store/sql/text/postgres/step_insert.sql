INSERT INTO steps (delivery, step, done_at, tenant)
SELECT * FROM unnest(?1::bytea[], ?2::text[], ?3::bigint[], ?4::bytea[])
ON CONFLICT DO NOTHING
