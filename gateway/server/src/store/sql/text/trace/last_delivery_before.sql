SELECT d.seq
FROM submissions AS s INDEXED BY submissions_by_time
CROSS JOIN deliveries AS d INDEXED BY deliveries_of_submission
WHERE d.submission = s.id AND s.tenant = ?1 /*postgres AND s.normaliser >= 0*/ AND s.received_at < ?2
ORDER BY s.received_at DESC
LIMIT 1
