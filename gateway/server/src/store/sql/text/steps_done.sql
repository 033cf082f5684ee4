SELECT step FROM steps WHERE delivery = ?1 ORDER BY done_at, step
