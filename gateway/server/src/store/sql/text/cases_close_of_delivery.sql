UPDATE cases SET closed_at = ?2 WHERE delivery = ?1 AND closed_at IS NULL
