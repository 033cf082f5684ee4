INSERT INTO deliveries (id, tenant, submission, account, serial, state, held_cause, reason, fields_sealed, changed_at,
    next_attempt_at, form_digest, case_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
