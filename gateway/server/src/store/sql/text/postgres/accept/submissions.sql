INSERT INTO submissions (id, tenant, kind, api_key, received_at, last_at, posting_id, posting_account, form_digest,
    email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
    demographics_at, demographics_sealed, document_sealed)
SELECT id, tenant, 'accepted', api_key, received_at, received_at, posting_id, posting_account, form_digest, email_exact,
    email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test, demographics_at,
    demographics_sealed, document_sealed
FROM unnest(
    ?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::bigint[], ?5::text[], ?6::bytea[], ?7::text[], ?8::bytea[], ?9::bytea[],
    ?10::bigint[], ?11::bytea[], ?12::bytea[], ?13::text[], ?14::bigint[], ?15::bytea[], ?16::bytea[], ?17::text[],
    ?18::bigint[], ?19::bigint[], ?20::bytea[], ?21::bytea[]
) AS new (id, tenant, api_key, received_at, posting_id, posting_account, form_digest, email_exact, email_base, normaliser,
    fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test, demographics_at, demographics_sealed,
    document_sealed)
