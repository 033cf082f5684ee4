SELECT code, received_at, posting_id, repeat_of, test FROM submissions WHERE id = ?1 AND tenant = ?2 AND kind = 'accepted' AND test = ?3
