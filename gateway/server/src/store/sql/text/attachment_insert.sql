INSERT INTO attachments (blob, submission, tenant, position, meta_sealed) VALUES (?1, ?2, ?3, ?4, ?5)
