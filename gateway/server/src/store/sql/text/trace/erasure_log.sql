SELECT l.tenant, l.email_exact, l.erased_at, t.normaliser
FROM erasure_log AS l
JOIN tombstones AS t ON t.tenant = l.tenant AND t.email_exact = l.email_exact
ORDER BY l.seq
