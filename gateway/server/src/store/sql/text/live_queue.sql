UPDATE deliveries
SET state = 'queued', held_cause = NULL, reason = NULL, case_id = NULL, changed_at = ?3, next_attempt_at = ?3, lane = 1
WHERE account = ?1 AND held_cause = 'operator' AND reason = ?2
