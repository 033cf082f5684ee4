SELECT erased_at FROM tombstones WHERE tenant = ?1 AND email_exact = ?2
