UPDATE submissions SET demographics_sealed = NULL
WHERE demographics_sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM wrapped_keys AS w WHERE w.owner = submissions.id AND w.kind = 'demographics')
