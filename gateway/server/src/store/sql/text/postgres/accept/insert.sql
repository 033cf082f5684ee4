-- A whole batch: one statement, one pass over each table. Lists that are unnested side by side are rows as they come;
-- in FROM each would be stored first.
WITH kept AS (
    INSERT INTO submissions (id, tenant, kind, api_key, received_at, last_at, posting_id, posting_account, form_digest,
        email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
        demographics_at, demographics_sealed, document_sealed, targets)
    SELECT id, tenant, 'accepted', api_key, received_at, received_at, posting_id, posting_account, form_digest,
        email_exact, email_base, normaliser, fingerprint, key_hash, code, number, repeat_of, receipt, trace_id, test,
        demographics_at, demographics_sealed, document_sealed, targets
    FROM (
        SELECT
            unnest(?1::bytea[]) AS id, unnest(?2::bytea[]) AS tenant, unnest(?3::bytea[]) AS api_key,
            unnest(?4::bigint[]) AS received_at, unnest(?5::text[]) AS posting_id,
            unnest(?6::bytea[]) AS posting_account, unnest(?7::text[]) AS form_digest,
            unnest(?8::bytea[]) AS email_exact, unnest(?9::bytea[]) AS email_base,
            unnest(?10::bigint[]) AS normaliser, unnest(?11::bytea[]) AS fingerprint,
            unnest(?12::bytea[]) AS key_hash, unnest(?13::text[]) AS code, unnest(?14::bigint[]) AS number,
            unnest(?15::bytea[]) AS repeat_of, unnest(?16::bytea[]) AS receipt, unnest(?17::text[]) AS trace_id,
            unnest(?18::bigint[]) AS test, unnest(?19::bigint[]) AS demographics_at,
            unnest(?20::bytea[]) AS demographics_sealed, unnest(?21::bytea[]) AS document_sealed,
            unnest(?22::bigint[]) AS targets
    ) AS made
), locked AS (
    INSERT INTO wrapped_keys (owner, kind, tenant, wrapped)
    SELECT unnest(?23::bytea[]), unnest(?24::text[]), unnest(?25::bytea[]), unnest(?26::bytea[])
), attached AS (
    INSERT INTO attachments (blob, submission, tenant, position, meta_sealed)
    SELECT unnest(?27::bytea[]), unnest(?28::bytea[]), unnest(?29::bytea[]), unnest(?30::bigint[]), unnest(?31::bytea[])
)
INSERT INTO deliveries (id, tenant, submission, account, serial, state, held_cause, reason, fields_sealed, changed_at,
    next_attempt_at, form_digest, case_id)
SELECT
    unnest(?32::bytea[]), unnest(?33::bytea[]), unnest(?34::bytea[]), unnest(?35::bytea[]), unnest(?36::bytea[]),
    unnest(?37::text[]), unnest(?38::text[]), unnest(?39::text[]), unnest(?40::bytea[]), unnest(?41::bigint[]),
    unnest(?42::bigint[]), unnest(?43::text[]), unnest(?44::bytea[])
