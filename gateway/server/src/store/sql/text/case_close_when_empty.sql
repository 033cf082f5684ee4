UPDATE cases SET closed_at = ?2
WHERE id = ?1 AND closed_at IS NULL AND delivery IS NULL AND reason = 'fails_alike'
    AND NOT EXISTS (SELECT 1 FROM deliveries WHERE case_id = ?1)
    AND NOT EXISTS (SELECT 1 FROM alike_groups WHERE case_id = ?1)
