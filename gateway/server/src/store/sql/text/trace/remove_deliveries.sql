DELETE FROM deliveries WHERE submission = ?1
