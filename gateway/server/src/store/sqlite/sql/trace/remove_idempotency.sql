DELETE FROM idempotency WHERE submission = ?1
