UPDATE deliveries
SET state = 'queued', held_cause = NULL, reason = NULL, fields_sealed = NULL, case_id = NULL, changed_at = ?2,
    next_attempt_at = ?2, lane = 1
WHERE case_id = ?1 AND held_cause = 'fails_alike'
