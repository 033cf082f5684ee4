INSERT INTO idempotency (tenant, key_hash, fingerprint, submission, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
