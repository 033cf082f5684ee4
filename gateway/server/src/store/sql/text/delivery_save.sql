UPDATE deliveries
SET state = ?3, held_cause = ?4, reason = ?5, fields_sealed = ?6, changed_at = ?7, lane = ?8, next_attempt_at = ?9,
    attempts = ?10, attempt_number = ?11, open_attempt = ?12, claims = ?13, fence = ?14, lease_owner = ?15,
    lease_until = ?16, claimed_from = ?17, verifying_step = ?18, verifying_since = ?19, verifying_not_seen = ?20,
    verifying_asked = ?21, refs = ?22, vendor_id = ?23, possible_duplicate = ?24, account = ?25, form_digest = ?26,
    case_id = ?27, sent_at = ?28, said_yes_at = ?29, seen_at = ?30, not_verifiable = ?31, read_back_at = ?32
WHERE seq = ?1 AND fence = ?2
