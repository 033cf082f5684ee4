-- What may be tried again counts from its third failure on, whatever went well meanwhile: a hiccup is no outage.
SELECT count(*) AS many, CAST(coalesce(sum(clean), 0) AS BIGINT) AS clean
FROM alike
WHERE account = ?1 AND mark = ?2 AND last_at > ?3 AND (class IN ('refused', 'unauthorised') OR times >= 3)
