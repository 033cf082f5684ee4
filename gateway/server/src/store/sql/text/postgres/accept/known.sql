-- What each of a batch's applications finds: what its key is bound to, the same request without one, whom it repeats.
SELECT w.number, b.fingerprint, b.receipt, s.receipt AS same, r.id AS repeat_of
FROM unnest(?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::text[], ?5::bytea[], ?6::bigint[], ?7::bigint[], ?8::bigint[])
    WITH ORDINALITY AS w (tenant, key_hash, email, posting_id, fingerprint, same_since, repeat_since, test, number)
LEFT JOIN LATERAL (
    SELECT o.fingerprint, o.receipt
    FROM submissions AS o
    WHERE o.tenant = w.tenant AND o.key_hash = w.key_hash AND o.kind = 'accepted'
) AS b ON w.key_hash IS NOT NULL
LEFT JOIN LATERAL (
    SELECT o.receipt
    FROM submissions AS o
    WHERE o.tenant = w.tenant AND o.email_exact = w.email AND o.posting_id || '' = w.posting_id
        AND o.received_at >= w.same_since AND o.kind = 'accepted' AND o.fingerprint = w.fingerprint AND o.test = w.test
        AND o.receipt IS NOT NULL
    ORDER BY o.received_at
    LIMIT 1
) AS s ON w.key_hash IS NULL
LEFT JOIN LATERAL (
    SELECT o.id
    FROM submissions AS o
    WHERE o.tenant = w.tenant AND o.email_exact = w.email AND o.posting_id || '' = w.posting_id
        AND o.received_at >= w.repeat_since AND o.kind = 'accepted' AND o.test = w.test
    ORDER BY o.received_at
    LIMIT 1
) AS r ON true
ORDER BY w.number
