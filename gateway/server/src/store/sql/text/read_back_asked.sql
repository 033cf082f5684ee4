SELECT read_back_asked FROM deliveries WHERE id = ?1 AND state = 'delivered' AND read_back_at IS NOT NULL
/*postgres FOR UPDATE*/
