UPDATE deliveries
SET state = 'held', held_cause = ?2, reason = ?3, case_id = ?4, changed_at = ?5, next_attempt_at = NULL
WHERE account = ?1 AND next_attempt_at IS NOT NULL AND state IN ('queued', 'waiting')
