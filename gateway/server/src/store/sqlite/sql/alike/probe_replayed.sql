UPDATE alike_groups SET probe = ?2, next_probe_at = NULL WHERE case_id = ?1
