UPDATE deliveries
SET seen_at = ?2, read_back_at = NULL, vendor_id = ?3, refs = ?4, reason = ?5, case_id = ?6
WHERE id = ?1
