-- Of settled deliveries: where each stands and its proofs are with the delivery. Unless such a row is all that says that
-- the vendor may have a copy (the same classes as erase_copies): it stays for as long as the application does.
DELETE FROM attempts WHERE seq IN (
  SELECT t.seq FROM attempts AS t INDEXED BY attempts_by_time
  JOIN deliveries AS d ON d.id = t.delivery
  WHERE t.began_at < ?1 AND d.state NOT IN ('queued', 'in_flight', 'verifying', 'waiting', 'held')
    AND NOT (t.is_lookup = 0 AND (t.ended_at IS NULL OR t.class IN ('accepted', 'already_there', 'unknown'))
      AND d.state NOT IN ('delivered', 'erased') AND d.vendor_id IS NULL)
  LIMIT ?2)
