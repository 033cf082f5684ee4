-- Whose there is something to do for: a probe is due, or ended without an answer; something is too old to count.
SELECT g.tenant
FROM alike_groups g
WHERE g.next_probe_at <= ?2
    OR (
        g.probe IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM deliveries d
            WHERE d.id = g.probe AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting')
        )
    )
UNION
SELECT a.tenant
FROM alike f
JOIN accounts a ON a.id = f.account
WHERE f.last_at <= ?1
    AND NOT EXISTS (SELECT 1 FROM alike_groups g WHERE g.account = f.account AND g.mark = f.mark)
