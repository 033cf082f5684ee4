SELECT 1 FROM deliveries INDEXED BY deliveries_of_submission WHERE submission = ?1 AND account = ?2 LIMIT 1
