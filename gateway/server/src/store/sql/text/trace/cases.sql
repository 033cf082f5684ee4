SELECT c.id, c.delivery, c.account, c.endpoint, c.reason, c.opened_at,
       (SELECT count(*) FROM deliveries AS d INDEXED BY deliveries_of_case WHERE d.case_id = c.id) AS deliveries
FROM cases AS c INDEXED BY cases_open
WHERE c.tenant = ?1 AND c.closed_at IS NULL
ORDER BY c.opened_at DESC, c.id DESC
LIMIT ?2
