UPDATE attempts
SET ended_at = ?2, took = ?3, class = ?4, reason = ?5, vendor_status = ?6, words_sealed = ?7
WHERE id = ?1 AND ended_at IS NULL
