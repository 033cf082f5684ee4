SELECT d.id, d.account, a.name AS account_name, a.connector, a.role, d.state, d.held_cause, d.reason, d.fields_sealed,
       d.changed_at, d.next_attempt_at, d.case_id, d.refs, d.vendor_id, d.possible_duplicate, d.sent_at, d.said_yes_at,
       d.seen_at, d.not_verifiable, d.read_back_at
FROM deliveries AS d INDEXED BY deliveries_of_submission
JOIN accounts AS a ON a.id = d.account
WHERE d.submission = ?1
ORDER BY d.seq
