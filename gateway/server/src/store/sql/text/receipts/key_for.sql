-- The newest that was there at ?1, or the oldest.
SELECT id, public, seed_sealed FROM receipt_keys ORDER BY since > ?1, CASE WHEN since > ?1 THEN since ELSE -since END, id
LIMIT 1
