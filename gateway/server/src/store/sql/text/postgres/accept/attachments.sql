INSERT INTO attachments (blob, submission, tenant, position, meta_sealed)
SELECT * FROM unnest(?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::bigint[], ?5::bytea[])
