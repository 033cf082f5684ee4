-- A probe on the wire is waited for.
SELECT g.account, g.tenant, g.mark, g.case_id, g.probe, g.probes
FROM alike_groups g
JOIN accounts a ON a.id = g.account
WHERE g.next_probe_at <= ?1 AND a.paused_since IS NULL
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = g.probe AND d.state = 'in_flight')
