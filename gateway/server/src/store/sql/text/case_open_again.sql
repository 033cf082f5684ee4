UPDATE cases SET closed_at = NULL, reason = ?2, opened_at = ?3 WHERE id = ?1
