-- An erased submission kept the fingerprint for its key's sake only.
UPDATE submissions SET key_hash = NULL, fingerprint = CASE WHEN erased_at IS NULL THEN fingerprint END WHERE id IN (
  SELECT id FROM submissions INDEXED BY submissions_keyed WHERE key_hash IS NOT NULL AND received_at < ?1 LIMIT ?2)
