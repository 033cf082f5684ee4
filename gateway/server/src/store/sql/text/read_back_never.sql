UPDATE deliveries SET not_verifiable = ?2, read_back_at = NULL WHERE id = ?1
