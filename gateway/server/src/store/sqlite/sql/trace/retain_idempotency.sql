UPDATE submissions SET key_hash = NULL WHERE seq IN (
  SELECT seq FROM submissions INDEXED BY submissions_keyed WHERE key_hash IS NOT NULL AND received_at < ?1 LIMIT ?2)
