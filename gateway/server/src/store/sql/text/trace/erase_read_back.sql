UPDATE deliveries
SET read_back_at = NULL, not_verifiable = 'its data was erased before it was read back'
WHERE id = ?1 AND read_back_at IS NOT NULL
