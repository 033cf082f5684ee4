SELECT received_at, receipt FROM submissions
WHERE id = ?1 AND tenant = ?2 AND kind = 'accepted' AND test = ?3
