-- ?2: since when it fails; NULL once it succeeds.
UPDATE webhook_endpoints SET failing_since = ?2 WHERE id = ?1 AND (CAST(?2 AS BIGINT) IS NULL) <> (failing_since IS NULL)
