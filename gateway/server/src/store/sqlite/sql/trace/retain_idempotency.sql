DELETE FROM idempotency WHERE (tenant, key_hash) IN (
  SELECT tenant, key_hash FROM idempotency INDEXED BY idempotency_by_time WHERE created_at < ?1 LIMIT ?2)
