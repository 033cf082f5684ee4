UPDATE alike_groups SET probe = NULL, next_probe_at = ?3 WHERE account = ?1 AND probe = ?2
