UPDATE submissions SET count = count + 1, last_at = CASE WHEN last_at < ?2 THEN ?2 ELSE last_at END WHERE id = ?1
