SELECT a.name, g.step, g.class, g.reason, g.vendor_status, g.fields, g.probes, CASE WHEN g.probe IS NULL THEN g.next_probe_at END AS next_probe_at,
    (SELECT count(*) FROM deliveries d INDEXED BY deliveries_of_case
     WHERE d.case_id = g.case_id AND d.state = 'held') AS held,
    (SELECT count(*) FROM deliveries d INDEXED BY deliveries_of_case
     WHERE d.case_id = g.case_id AND d.state = 'refused') AS refused
FROM alike_groups g
JOIN accounts a ON a.id = g.account
ORDER BY g.opened_at
