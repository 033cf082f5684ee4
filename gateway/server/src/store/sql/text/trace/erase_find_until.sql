-- What came after the erasure is a new application.
SELECT id FROM submissions INDEXED BY submissions_by_email
WHERE tenant = ?1 AND email_exact = ?2 AND received_at <= ?3
ORDER BY seq
