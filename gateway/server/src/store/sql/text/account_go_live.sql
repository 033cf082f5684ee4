UPDATE accounts SET live_at = ?2, staged_case = NULL WHERE id = ?1
