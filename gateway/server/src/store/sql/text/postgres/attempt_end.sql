UPDATE attempts AS a
SET ended_at = n.ended_at, took = n.took, class = n.class, reason = n.reason, vendor_status = n.vendor_status,
    words_sealed = n.words_sealed
FROM (
    SELECT * FROM unnest(?1::bytea[], ?2::bigint[], ?3::bigint[], ?4::text[], ?5::text[], ?6::bigint[], ?7::bytea[])
    LIMIT cardinality(?1::bytea[])
) AS n (id, ended_at, took, class, reason, vendor_status, words_sealed)
WHERE a.id = n.id AND a.ended_at IS NULL
