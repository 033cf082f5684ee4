UPDATE deliveries
SET state = 'parked', reason = 'poison', held_cause = NULL, next_attempt_at = NULL, lease_owner = NULL,
    lease_until = NULL, claimed_from = NULL, open_attempt = NULL, fence = fence + 1, case_id = ?2, changed_at = ?3
WHERE seq = ?1
