SELECT 1 FROM erasure_log WHERE tenant = ?1 AND email_exact = ?2 AND erased_at = ?3
