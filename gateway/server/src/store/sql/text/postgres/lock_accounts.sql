-- The accounts at which a batch keeps others out, in one order.
SELECT id FROM accounts WHERE id = ANY(?1::bytea[]) ORDER BY id
FOR NO KEY UPDATE
