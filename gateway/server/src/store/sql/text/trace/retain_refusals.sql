-- Counted from when the same bytes came last.
SELECT s.id FROM submissions AS s INDEXED BY submissions_refused
WHERE s.tenant = ?1 /*postgres AND s.normaliser >= 0*/ AND s.kind = 'refused' AND s.received_at < ?2 AND s.last_at < ?2
ORDER BY s.received_at
LIMIT ?3
