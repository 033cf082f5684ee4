-- ?2: since when it fails; NULL once it succeeds.
UPDATE webhook_endpoints SET failing_since = ?2 WHERE id = ?1 AND (?2 IS NULL) <> (failing_since IS NULL)
