SELECT received_at, receipt, erased_at FROM submissions
WHERE id = ?1 AND tenant = ?2 AND kind = 'accepted' AND test = ?3
