-- An erased submission kept the fingerprint for its key's sake only. Who was refused has no key.
UPDATE submissions SET key_hash = NULL, fingerprint = CASE WHEN erased_at IS NULL THEN fingerprint END
WHERE /*postgres kind = 'accepted' AND*/ id IN (
  SELECT id FROM submissions INDEXED BY submissions_keyed
  WHERE key_hash IS NOT NULL AND received_at < ?1 /*postgres AND kind = 'accepted' AND normaliser >= 0*/ LIMIT ?2)
