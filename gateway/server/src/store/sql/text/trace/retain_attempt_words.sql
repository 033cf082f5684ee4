-- Of attempts that stay beyond their time (see retain_attempts): the vendor's words go.
UPDATE attempts SET words_sealed = NULL WHERE seq IN (
  SELECT t.seq FROM attempts AS t INDEXED BY attempts_by_time
  JOIN deliveries AS d ON d.id = t.delivery
  WHERE t.began_at < ?1 AND t.words_sealed IS NOT NULL
    AND d.state NOT IN ('queued', 'in_flight', 'verifying', 'waiting', 'held')
  LIMIT ?2)
