INSERT INTO steps (delivery, step, done_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
