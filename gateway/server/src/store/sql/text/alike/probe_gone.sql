-- Cancelled, erased, held with its account: whatever ended the probe without an answer.
UPDATE alike_groups SET probe = NULL, next_probe_at = ?1
WHERE probe IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.id = probe AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting')
)
