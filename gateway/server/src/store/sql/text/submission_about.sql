SELECT posting_id, posting_account, received_at, code, trace_id FROM submissions WHERE id = ?1 AND tenant = ?2 AND kind = 'accepted'
