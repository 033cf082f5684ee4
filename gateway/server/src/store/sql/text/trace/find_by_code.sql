SELECT s.seq, s.id, s.posting_id, s.posting_account, s.received_at, s.email_exact, s.email_base, s.number, s.kind, s.last_at
FROM submissions AS s INDEXED BY submissions_by_number
WHERE s.tenant = ?1 AND s.number = ?4 AND s.received_at >= ?2 AND s.received_at < ?3
