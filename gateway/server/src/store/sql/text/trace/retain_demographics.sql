-- Of what nothing is on its way any more: a held delivery may still need them.
SELECT s.id FROM submissions AS s INDEXED BY submissions_with_demographics
WHERE s.tenant = ?1 AND s.received_at < ?2 AND s.demographics_sealed IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d INDEXED BY deliveries_of_submission
    WHERE d.submission = s.id AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting', 'held'))
ORDER BY s.received_at
LIMIT ?3
