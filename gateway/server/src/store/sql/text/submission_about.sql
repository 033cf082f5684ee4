SELECT posting_id, posting_account, received_at, code FROM submissions WHERE id = ?1 AND tenant = ?2 AND kind = 'accepted'
