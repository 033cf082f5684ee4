INSERT INTO receipt_keys (id, public, seed_sealed, since) VALUES (?1, ?2, ?3, ?4)
