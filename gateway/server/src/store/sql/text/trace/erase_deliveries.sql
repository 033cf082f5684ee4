SELECT id, state FROM deliveries INDEXED BY deliveries_of_submission WHERE submission = ?1
