SELECT i.fingerprint, s.receipt
FROM idempotency i
JOIN submissions s ON s.id = i.submission
WHERE i.tenant = ?1 AND i.key_hash = ?2
