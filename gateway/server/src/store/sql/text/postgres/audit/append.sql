WITH heads AS (
    INSERT INTO audit_heads (tenant, position, mac, signature)
    SELECT * FROM unnest(?8::bytea[], ?9::bigint[], ?10::bytea[], ?11::bytea[])
    ON CONFLICT (tenant) DO UPDATE SET position = excluded.position, mac = excluded.mac, signature = excluded.signature
)
INSERT INTO audit (tenant, position, at, actor, action, subject, mac)
SELECT * FROM unnest(?1::bytea[], ?2::bigint[], ?3::bigint[], ?4::text[], ?5::text[], ?6::text[], ?7::bytea[])
