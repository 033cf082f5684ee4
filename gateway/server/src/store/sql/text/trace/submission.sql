SELECT id, kind, received_at, posting_id, posting_account, form_digest, code, repeat_of, problem, count, last_at,
       trace_id, test, erased_at, errors_sealed, receipt
FROM submissions WHERE id = ?1
