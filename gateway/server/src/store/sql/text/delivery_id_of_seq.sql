SELECT id FROM deliveries WHERE seq = ?1
