WITH heads AS (
    INSERT INTO audit_heads (tenant, position, mac, signature)
    SELECT unnest(?8::bytea[]), unnest(?9::bigint[]), unnest(?10::bytea[]), unnest(?11::bytea[])
    ON CONFLICT (tenant) DO UPDATE SET position = excluded.position, mac = excluded.mac, signature = excluded.signature
)
INSERT INTO audit (tenant, position, at, actor, action, subject, mac)
SELECT unnest(?1::bytea[]), unnest(?2::bigint[]), unnest(?3::bigint[]), unnest(?4::text[]), unnest(?5::text[]),
    unnest(?6::text[]), unnest(?7::bytea[])
