-- Of an account that was just found running.
SELECT d.seq, d.id, d.tenant, d.submission, d.account, NULL AS paused_reason, NULL AS paused_case, d.state,
    d.held_cause, d.reason, d.fields_sealed, d.lane, d.next_attempt_at, d.attempts, d.attempt_number,
    d.open_attempt, d.claims, d.fence, d.lease_owner, d.lease_until, d.claimed_from, d.verifying_step,
    d.verifying_since, d.verifying_not_seen, d.verifying_asked, d.refs, d.vendor_id, d.possible_duplicate,
    d.form_digest, d.case_id, d.sent_at, d.said_yes_at, d.seen_at, d.not_verifiable, d.read_back_at, d.serial
FROM deliveries d
WHERE d.account = ?1 AND d.lane = ?2 AND d.next_attempt_at <= ?3 AND d.next_attempt_at >= ?5 AND d.claims < ?6
    AND (
        -- One index probe for each row as it comes; as a join it would be made for all of them.
        SELECT o.seq
        FROM deliveries o
        WHERE o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying') AND o.seq <> d.seq
        LIMIT 1
    ) IS NULL
ORDER BY d.next_attempt_at, d.seq
LIMIT ?4
/*postgres FOR UPDATE OF d SKIP LOCKED*/
