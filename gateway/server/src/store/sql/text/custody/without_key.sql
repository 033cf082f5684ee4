-- Destroyed by erasing or retention after the backup was taken.
SELECT id FROM submissions AS s
WHERE s.erased_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM wrapped_keys AS w WHERE w.owner = s.id AND w.kind = 'submission')
