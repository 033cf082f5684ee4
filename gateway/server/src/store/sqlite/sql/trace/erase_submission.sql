-- What remains: that something came, when, for which job, its code and its receipt, which holds ids only. A site that
-- sends the same request again under its idempotency key gets that receipt, and nothing is stored anew.
UPDATE submissions
SET email_exact = NULL, email_base = NULL, fingerprint = iif(key_hash IS NULL, NULL, fingerprint), repeat_of = NULL,
    demographics_at = NULL, demographics_sealed = NULL, errors_sealed = NULL, document_sealed = NULL, erased_at = ?2
WHERE id = ?1
