SELECT id FROM deliveries INDEXED BY deliveries_of_submission WHERE submission = ?1
