-- For each of a batch what accept_bound, accept_same and accept_repeat_of say of it. same: where no key was given.
SELECT asked.n, bound.fingerprint, bound.receipt,
    CASE WHEN asked.key_hash IS NULL THEN (
        SELECT s.receipt
        FROM submissions AS s
        WHERE s.tenant = asked.tenant AND s.email_exact = asked.email_exact AND s.posting_id || '' = asked.posting_id
            AND s.received_at >= asked.same_since AND s.kind = 'accepted' AND s.fingerprint = asked.fingerprint
            AND s.test = asked.test AND s.receipt IS NOT NULL
        ORDER BY s.received_at
        LIMIT 1
    ) END AS same,
    (
        SELECT s.id
        FROM submissions AS s
        WHERE s.tenant = asked.tenant AND s.email_exact = asked.email_exact AND s.posting_id || '' = asked.posting_id
            AND s.received_at >= asked.repeat_since AND s.kind = 'accepted' AND s.test = asked.test
        ORDER BY s.received_at
        LIMIT 1
    ) AS repeat_of
FROM unnest(
    ?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::text[], ?5::bytea[], ?6::bigint[], ?7::bigint[], ?8::bigint[]
) WITH ORDINALITY AS asked (tenant, key_hash, email_exact, posting_id, fingerprint, same_since, repeat_since, test, n)
LEFT JOIN LATERAL (
    SELECT s.fingerprint, s.receipt
    FROM submissions AS s
    WHERE s.tenant = asked.tenant AND s.key_hash = asked.key_hash AND s.kind = 'accepted'
    LIMIT 1
) AS bound ON true
ORDER BY asked.n
