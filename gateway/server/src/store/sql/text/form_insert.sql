INSERT INTO forms (account, posting_id, digest, document, first_seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (account, posting_id, digest) DO NOTHING
