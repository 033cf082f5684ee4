-- One writer has no other to wait for.
SELECT 1 WHERE ?1 IS NOT NULL
