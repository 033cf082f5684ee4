-- A whole batch: one statement, one pass over each table.
WITH kept AS (
    INSERT INTO submissions (id, tenant, kind, api_key, received_at, last_at, posting_id, posting_account, form_digest,
        email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
        demographics_at, demographics_sealed, document_sealed)
    SELECT id, tenant, 'accepted', api_key, received_at, received_at, posting_id, posting_account, form_digest,
        email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
        demographics_at, demographics_sealed, document_sealed
    FROM unnest(?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::bigint[], ?5::text[], ?6::bytea[], ?7::text[], ?8::bytea[],
        ?9::bytea[], ?10::bigint[], ?11::bytea[], ?12::bytea[], ?13::text[], ?14::bigint[], ?15::bytea[], ?16::bytea[],
        ?17::text[], ?18::bigint[], ?19::bigint[], ?20::bytea[], ?21::bytea[])
        AS made (id, tenant, api_key, received_at, posting_id, posting_account, form_digest, email_exact, email_base,
        normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test, demographics_at,
        demographics_sealed, document_sealed)
), locked AS (
    INSERT INTO wrapped_keys (owner, kind, tenant, wrapped)
    SELECT * FROM unnest(?22::bytea[], ?23::text[], ?24::bytea[], ?25::bytea[])
), attached AS (
    INSERT INTO attachments (blob, submission, tenant, position, meta_sealed)
    SELECT * FROM unnest(?26::bytea[], ?27::bytea[], ?28::bytea[], ?29::bigint[], ?30::bytea[])
)
INSERT INTO deliveries (id, tenant, submission, account, serial, state, held_cause, reason, fields_sealed, changed_at,
    next_attempt_at, form_digest, case_id)
SELECT * FROM unnest(?31::bytea[], ?32::bytea[], ?33::bytea[], ?34::bytea[], ?35::bytea[], ?36::text[], ?37::text[],
    ?38::text[], ?39::bytea[], ?40::bigint[], ?41::bigint[], ?42::text[], ?43::bytea[])
