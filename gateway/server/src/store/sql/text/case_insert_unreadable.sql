-- The tenant is the account's: the row's own may be what is unreadable.
INSERT INTO cases (id, tenant, account, delivery, reason, opened_at)
SELECT ?1, a.tenant, a.id, d.id, ?4, ?5
FROM accounts a
JOIN deliveries d ON d.seq = ?2
WHERE a.id = ?3
