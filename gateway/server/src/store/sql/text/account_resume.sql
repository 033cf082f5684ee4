UPDATE accounts SET paused_reason = NULL, paused_since = NULL, paused_case = NULL WHERE id = ?1
