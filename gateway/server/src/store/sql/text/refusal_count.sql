UPDATE submissions SET count = count + 1, last_at = max(last_at, ?2) WHERE id = ?1
