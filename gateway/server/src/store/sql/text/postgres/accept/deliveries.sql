INSERT INTO deliveries (id, tenant, submission, account, serial, state, held_cause, reason, fields_sealed, changed_at,
    next_attempt_at, form_digest, case_id)
SELECT * FROM unnest(
    ?1::bytea[], ?2::bytea[], ?3::bytea[], ?4::bytea[], ?5::bytea[], ?6::text[], ?7::text[], ?8::text[], ?9::bytea[],
    ?10::bigint[], ?11::bigint[], ?12::text[], ?13::bytea[])
