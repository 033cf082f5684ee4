-- Cancelled, erased, held with its account: whatever ended the probe without an answer.
SELECT g.account, g.mark, g.probes
FROM alike_groups g
WHERE g.probe IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.id = g.probe AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting')
)
