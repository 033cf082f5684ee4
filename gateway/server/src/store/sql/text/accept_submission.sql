INSERT INTO submissions (id, tenant, kind, api_key, received_at, last_at, posting_id, posting_account, form_digest,
    email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
    demographics_at, demographics_sealed, document_sealed, targets)
VALUES (?1, ?2, 'accepted', ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
