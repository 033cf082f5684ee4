UPDATE deliveries
SET state = CASE
        WHEN verifying_step IS NOT NULL THEN 'verifying'
        WHEN claimed_from = 'waiting' THEN 'waiting'
        ELSE 'queued'
    END,
    next_attempt_at = ?2, changed_at = ?2, fence = fence + 1,
    lease_owner = NULL, lease_until = NULL, claimed_from = NULL
WHERE lease_until <= ?1 AND state = 'in_flight' AND open_attempt IS NULL
