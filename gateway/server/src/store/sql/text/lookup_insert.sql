INSERT INTO attempts (id, /*postgres tenant,*/ delivery, number, step, is_lookup, began_at, ended_at, took, class, reason, vendor_status,
    words_sealed)
VALUES (?1, /*postgres (SELECT tenant FROM deliveries WHERE id = ?2),*/ ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
