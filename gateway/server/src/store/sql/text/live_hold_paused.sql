UPDATE deliveries
SET held_cause = 'account_paused', reason = ?3, case_id = ?4, changed_at = ?5
WHERE account = ?1 AND held_cause = 'operator' AND reason = ?2
