INSERT INTO attempts (id, delivery, number, step, is_lookup, began_at) VALUES (?1, ?2, ?3, ?4, 0, ?5)
