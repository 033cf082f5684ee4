SELECT DISTINCT case_id FROM deliveries WHERE submission = ?1 AND case_id IS NOT NULL
