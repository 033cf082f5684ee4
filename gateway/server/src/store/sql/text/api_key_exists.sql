SELECT 1 FROM api_keys WHERE id = ?1 AND tenant = ?2
