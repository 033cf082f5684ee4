-- Of settled deliveries: where each stands and its proofs are with the delivery.
DELETE FROM attempts WHERE seq IN (
  SELECT t.seq FROM attempts AS t INDEXED BY attempts_by_time
  JOIN deliveries AS d ON d.id = t.delivery
  WHERE t.began_at < ?1 AND d.state NOT IN ('queued', 'in_flight', 'verifying', 'waiting', 'held')
  LIMIT ?2)
