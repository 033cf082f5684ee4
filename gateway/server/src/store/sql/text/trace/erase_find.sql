SELECT id FROM submissions INDEXED BY submissions_by_email WHERE tenant = ?1 AND email_exact = ?2 ORDER BY seq
