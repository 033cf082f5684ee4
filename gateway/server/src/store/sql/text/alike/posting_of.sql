SELECT s.posting_id FROM deliveries d JOIN submissions s ON s.id = d.submission AND s.kind = 'accepted' WHERE d.id = ?1
