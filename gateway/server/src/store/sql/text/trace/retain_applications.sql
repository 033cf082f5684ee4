-- Past its time and nothing on its way any more. Live: what still has a timer or a lease.
SELECT s.id FROM submissions AS s INDEXED BY submissions_by_time
WHERE s.tenant = ?1 /*postgres AND s.normaliser >= 0*/ AND s.received_at < ?2 AND s.kind = 'accepted'
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d INDEXED BY deliveries_of_submission
    WHERE d.submission = s.id AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting'))
ORDER BY s.received_at
LIMIT ?3
