UPDATE deliveries AS d
SET seen_at = n.seen_at, read_back_at = NULL, vendor_id = n.vendor_id, refs = n.refs, reason = n.reason, case_id =
    n.case_id
FROM (
    SELECT * FROM unnest(?1::bytea[], ?2::bigint[], ?3::text[], ?4::text[], ?5::text[], ?6::bytea[])
    LIMIT cardinality(?1::bytea[])
) AS n (id, seen_at, vendor_id, refs, reason, case_id)
WHERE d.id = n.id
