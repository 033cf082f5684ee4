UPDATE alike_groups SET probe = NULL, probes = ?3, next_probe_at = ?4 WHERE account = ?1 AND mark = ?2
