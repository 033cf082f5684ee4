INSERT INTO submissions (id, tenant, kind, api_key, received_at, last_at, posting_id, email_exact, email_base, normaliser,
    fingerprint, problem, trace_id, demographics_at, demographics_sealed, errors_sealed, document_sealed, test)
VALUES (?1, ?2, 'refused', ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
