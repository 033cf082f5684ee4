-- What the verbs of a batch are about, locked in one order.
SELECT d.seq, d.id, d.tenant, d.submission, d.account, a.paused_reason, a.paused_case, d.state, d.held_cause, d.reason,
    d.fields_sealed, d.lane, d.next_attempt_at, d.attempts, d.attempt_number, d.open_attempt, d.claims, d.fence,
    d.lease_owner, d.lease_until, d.claimed_from, d.verifying_step, d.verifying_since, d.verifying_not_seen,
    d.verifying_asked, d.refs, d.vendor_id, d.possible_duplicate, d.form_digest, d.case_id, d.sent_at, d.said_yes_at,
    d.seen_at, d.not_verifiable, d.read_back_at,
    CASE WHEN w.step IS NULL OR d.attempt_number = 0 THEN 0 ELSE (
        SELECT count(*) FROM attempts AS t
        WHERE t.delivery = d.id AND t.step = w.step AND t.is_lookup = 0 AND t.reason IN ('poison', 'step_too_long')
    ) END AS broken,
    w.vendor_id AS asked_link,
    CASE WHEN w.vendor_id IS NULL THEN NULL ELSE (
        SELECT l.delivery FROM vendor_links AS l WHERE l.account = d.account AND l.vendor_id = w.vendor_id
    ) END AS linked,
    CASE WHEN d.state = 'delivered' AND d.read_back_at IS NOT NULL THEN d.read_back_asked END AS asked,
    w.counts = 1 AND (
        EXISTS (SELECT FROM alike_groups AS x WHERE x.account = d.account)
        OR EXISTS (SELECT FROM alike_allowed AS x WHERE x.delivery = d.id)
        OR EXISTS (
            SELECT FROM alike AS x
            WHERE x.account = d.account AND (
                x.delivery = d.id
                OR x.class = 'unauthorised'
                OR x.class = 'refused' AND x.posting_id = (
                    SELECT s.posting_id FROM submissions AS s WHERE s.id = d.submission AND s.kind = 'accepted'
                )
                OR x.class <> 'refused' AND x.clean = 1
            )
        )
    ) AS alike
FROM (
    SELECT * FROM unnest(?1::bytea[], ?2::text[], ?3::text[], ?4::bigint[]) ORDER BY 1 LIMIT cardinality(?1::bytea[])
) AS w (id, step, vendor_id, counts)
JOIN deliveries AS d ON d.id = w.id
JOIN accounts AS a ON a.id = d.account
ORDER BY d.id
FOR UPDATE OF d
