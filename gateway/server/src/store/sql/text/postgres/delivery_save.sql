UPDATE deliveries AS d
SET state = n.state, held_cause = n.held_cause, reason = n.reason, fields_sealed = n.fields_sealed, changed_at =
    n.changed_at, lane = n.lane, next_attempt_at = n.next_attempt_at, attempts = n.attempts, attempt_number =
    n.attempt_number, open_attempt = n.open_attempt, claims = n.claims, fence = n.fence, lease_owner =
    n.lease_owner, lease_until = n.lease_until, claimed_from = n.claimed_from, verifying_step =
    n.verifying_step, verifying_since = n.verifying_since, verifying_not_seen = n.verifying_not_seen,
    verifying_asked = n.verifying_asked, refs = n.refs, vendor_id = n.vendor_id, possible_duplicate =
    n.possible_duplicate, account = n.account, form_digest = n.form_digest, case_id = n.case_id, sent_at =
    n.sent_at, said_yes_at = n.said_yes_at, seen_at = n.seen_at, not_verifiable = n.not_verifiable, read_back_at
    = n.read_back_at
FROM (
    SELECT * FROM unnest(
        ?1::bigint[], ?2::bigint[], ?3::text[], ?4::text[], ?5::text[], ?6::bytea[], ?7::bigint[], ?8::bigint[],
        ?9::bigint[], ?10::bigint[], ?11::bigint[], ?12::bytea[], ?13::bigint[], ?14::bigint[], ?15::text[],
        ?16::bigint[], ?17::text[], ?18::text[], ?19::bigint[], ?20::bigint[], ?21::bigint[], ?22::text[],
        ?23::text[], ?24::bigint[], ?25::bytea[], ?26::text[], ?27::bytea[], ?28::bigint[], ?29::bigint[],
        ?30::bigint[], ?31::text[], ?32::bigint[]
    ) LIMIT cardinality(?1::bigint[])
) AS n (
    seq, fence_before, state, held_cause, reason, fields_sealed, changed_at, lane, next_attempt_at, attempts,
    attempt_number, open_attempt, claims, fence, lease_owner, lease_until, claimed_from, verifying_step,
    verifying_since, verifying_not_seen, verifying_asked, refs, vendor_id, possible_duplicate, account,
    form_digest, case_id, sent_at, said_yes_at, seen_at, not_verifiable, read_back_at
)
WHERE d.seq = n.seq AND d.fence = n.fence_before
