UPDATE deliveries SET case_id = NULL WHERE case_id = ?1 AND state = 'refused'
