-- What a delivery carries and how far it came; `stopped`: the steps at which many of its account fail alike, as it is told.
SELECT d.seq, d.id, d.tenant, d.submission, d.account, a.paused_reason, a.paused_case, d.state, d.held_cause, d.reason,
    d.fields_sealed, d.lane, d.next_attempt_at, d.attempts, d.attempt_number, d.open_attempt, d.claims, d.fence,
    d.lease_owner, d.lease_until, d.claimed_from, d.verifying_step, d.verifying_since, d.verifying_not_seen,
    d.verifying_asked, d.refs, d.vendor_id, d.possible_duplicate, d.form_digest, d.case_id, d.sent_at, d.said_yes_at,
    d.seen_at, d.not_verifiable, d.read_back_at,
    s.document_sealed, s.demographics_at, s.demographics_sealed, s.posting_id, s.posting_account, s.received_at, s.code,
    s.trace_id,
    (SELECT k.wrapped FROM wrapped_keys k WHERE k.owner = d.submission AND k.kind = 'submission') AS wrapped,
    (
        SELECT k.wrapped FROM wrapped_keys k WHERE k.owner = d.submission AND k.kind = 'demographics'
    ) AS demographics_wrapped,
    (SELECT json_agg(p.step ORDER BY p.done_at, p.step)::text FROM steps p WHERE p.delivery = d.id) AS done,
    (
        SELECT json_agg(g.step ORDER BY g.opened_at)::text
        FROM alike_groups g
        WHERE g.account = d.account AND g.probe IS DISTINCT FROM d.id
            AND NOT EXISTS (SELECT 1 FROM alike_allowed o WHERE o.delivery = d.id)
            AND (
                EXISTS (
                    SELECT 1 FROM alike l
                    WHERE l.account = g.account AND l.mark = g.mark AND l.delivery = d.id
                        AND (g.everyone = 1 OR l.times >= 3)
                )
                OR g.everyone = 1 AND EXISTS (
                    SELECT 1 FROM alike l
                    WHERE l.account = g.account AND l.mark = g.mark AND l.clean = 1
                        AND (g.class <> 'refused' OR l.posting_id = s.posting_id)
                )
            )
    ) AS stopped
FROM (SELECT * FROM deliveries WHERE id = ANY (?1::bytea[]) LIMIT cardinality(?1::bytea[])) AS d
JOIN accounts a ON a.id = d.account
LEFT JOIN submissions s ON s.id = d.submission AND s.tenant = d.tenant AND s.kind = 'accepted'
