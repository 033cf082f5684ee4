-- What had not been delivered may have been since: unknown from the moment of the backup, unless it was before.
UPDATE deliveries
SET verifying_step = ?1, verifying_since = ?2, verifying_not_seen = 0, verifying_asked = 0
WHERE state NOT IN ('delivered', 'erased') AND verifying_step IS NULL AND open_attempt IS NULL
