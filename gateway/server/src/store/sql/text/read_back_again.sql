UPDATE deliveries
SET read_back_at = ?2, read_back_asked = read_back_asked + 1, read_back_missed = ?3, reason = ?4, case_id = ?5
WHERE id = ?1
