-- What remains: that something came, when, for which job, its code and its receipt: ids, accounts' names, and where one
-- was left out or waits the reasons in our words (that consent was refused, which questions were not answered well). A site
-- that sends the same request again under its idempotency key gets that receipt, and nothing is stored anew; the
-- fingerprint goes with the key, see retain_idempotency.
UPDATE submissions
SET email_exact = NULL, email_base = NULL, fingerprint = CASE WHEN key_hash IS NOT NULL THEN fingerprint END, repeat_of = NULL,
    demographics_at = NULL, demographics_sealed = NULL, errors_sealed = NULL, document_sealed = NULL, erased_at = ?2
WHERE id = ?1
