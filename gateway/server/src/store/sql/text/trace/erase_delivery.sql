-- The fence moves, so that whoever holds the lease finds it lost.
UPDATE deliveries
SET state = 'erased', reason = 'erased', held_cause = NULL, changed_at = ?2, next_attempt_at = NULL,
    open_attempt = NULL, fence = fence + 1, lease_owner = NULL, lease_until = NULL, claimed_from = NULL,
    verifying_step = NULL, verifying_since = NULL, verifying_not_seen = 0, verifying_asked = 0, case_id = NULL
WHERE id = ?1
