INSERT INTO attempts (id, /*postgres tenant,*/ delivery, number, step, is_lookup, began_at) VALUES (?1, /*postgres (SELECT tenant FROM deliveries WHERE id = ?2),*/ ?2, ?3, ?4, 0, ?5)
