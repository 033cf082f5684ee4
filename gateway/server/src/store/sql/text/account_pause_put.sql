UPDATE accounts SET paused_reason = ?2, paused_since = ?3, paused_case = ?4 WHERE id = ?1
