-- Some of what could go out, of an account that is paused.
SELECT d.seq, d.id, d.tenant, d.submission, d.account, NULL AS paused_reason, NULL AS paused_case, d.state,
    d.held_cause, d.reason, d.fields_sealed, d.lane, d.next_attempt_at, d.attempts, d.attempt_number,
    d.open_attempt, d.claims, d.fence, d.lease_owner, d.lease_until, d.claimed_from, d.verifying_step,
    d.verifying_since, d.verifying_not_seen, d.verifying_asked, d.refs, d.vendor_id, d.possible_duplicate,
    d.form_digest, d.case_id, d.sent_at, d.said_yes_at, d.seen_at, d.not_verifiable, d.read_back_at
FROM deliveries d
WHERE d.account = ?1 AND d.next_attempt_at IS NOT NULL AND d.state IN ('queued', 'waiting')
LIMIT ?2
/*postgres FOR UPDATE OF d*/
