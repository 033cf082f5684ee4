SELECT id FROM cases WHERE delivery = ?1 AND reason = ?2 AND closed_at IS NULL
