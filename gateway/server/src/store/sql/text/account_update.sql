UPDATE accounts
SET name = ?3, settings = ?4, allow_private = ?5, on_invalid = ?6, repeats = ?7, on_unknown = ?8
WHERE id = ?1 AND tenant = ?2
