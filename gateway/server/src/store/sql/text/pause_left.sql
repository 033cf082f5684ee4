-- The case in which some are held still.
SELECT case_id FROM deliveries WHERE account = ?1 AND held_cause = 'account_paused' AND case_id IS NOT NULL LIMIT 1
