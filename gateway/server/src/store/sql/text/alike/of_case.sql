SELECT step, class, reason, vendor_status, fields, probes,
    CASE WHEN probe IS NULL THEN next_probe_at END AS next_probe_at
FROM alike_groups
WHERE case_id = ?1
