INSERT INTO attempts (id, tenant, delivery, number, step, is_lookup, began_at)
SELECT n.id, n.tenant, n.delivery, n.number, n.step, 0, n.began_at
FROM unnest(?1::bytea[], ?2::bytea[], ?3::bigint[], ?4::text[], ?5::bigint[], ?6::bytea[])
    AS n (id, delivery, number, step, began_at, tenant)
