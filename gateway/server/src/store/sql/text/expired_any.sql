SELECT 1 FROM deliveries WHERE lease_until <= ?1 AND lease_until >= ?2 AND state || '' = 'in_flight' LIMIT 1
