SELECT s.posting_id FROM deliveries d JOIN submissions s ON s.id = d.submission WHERE d.id = ?1
