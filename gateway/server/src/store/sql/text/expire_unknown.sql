UPDATE deliveries
SET state = 'verifying', reason = 'outcome_unknown', next_attempt_at = ?2, changed_at = ?2, fence = fence + 1,
    verifying_step = (SELECT step FROM attempts WHERE id = open_attempt),
    verifying_since = (SELECT began_at FROM attempts WHERE id = open_attempt),
    verifying_not_seen = 0, verifying_asked = 0, open_attempt = NULL,
    lease_owner = NULL, lease_until = NULL, claimed_from = NULL
WHERE lease_until <= ?1 AND state = 'in_flight' AND open_attempt IS NOT NULL
