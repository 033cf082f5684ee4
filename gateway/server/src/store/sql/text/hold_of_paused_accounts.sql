UPDATE deliveries
SET state = 'held', held_cause = 'account_paused', next_attempt_at = NULL, changed_at = ?1,
    reason = (SELECT paused_reason FROM accounts WHERE id = account),
    case_id = (SELECT paused_case FROM accounts WHERE id = account)
WHERE account IN (SELECT id FROM accounts WHERE paused_since IS NOT NULL) AND next_attempt_at IS NOT NULL
    AND state IN ('queued', 'waiting')
