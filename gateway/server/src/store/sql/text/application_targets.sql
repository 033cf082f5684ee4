SELECT a.name, a.role, d.state, d.reason, d.changed_at, d.next_attempt_at
FROM deliveries d
JOIN accounts a ON a.id = d.account
WHERE d.submission = ?1 AND d.tenant = ?2
ORDER BY d.seq
