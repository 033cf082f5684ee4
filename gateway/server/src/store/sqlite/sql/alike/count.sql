-- Who failed again and again counts, although others went well meanwhile.
SELECT count(*) AS many, coalesce(sum(clean), 0) AS clean
FROM alike
WHERE account = ?1 AND mark = ?2 AND last_at > ?3 AND (clean = 1 OR times >= 3)
