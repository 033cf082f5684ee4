SELECT count(*) FROM attempts
WHERE delivery = ?1 AND step = ?2 AND is_lookup = 0 AND reason IN ('poison', 'step_too_long')
