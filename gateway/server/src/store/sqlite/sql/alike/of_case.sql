SELECT step, class, reason, vendor_status, fields, probes, next_probe_at FROM alike_groups WHERE case_id = ?1
