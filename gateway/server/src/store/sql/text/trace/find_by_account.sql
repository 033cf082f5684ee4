-- Newest delivery first. ?5 and ?6 bound the scan to about the window; the window itself is checked on the submission.
SELECT s.seq, s.id, s.posting_id, s.posting_account, s.received_at, s.email_exact, s.email_base, s.number, s.kind, s.last_at
FROM deliveries AS d INDEXED BY deliveries_of_account
CROSS JOIN submissions AS s
WHERE s.id = d.submission AND d.account = ?4 AND d.seq >= ?5 AND d.seq <= ?6
  AND s.tenant = ?1 AND s.received_at >= ?2 AND s.received_at < ?3
ORDER BY d.seq DESC
