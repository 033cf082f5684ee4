INSERT INTO posting_ids (tenant, text, account, posting_id, kind) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO NOTHING
