INSERT INTO attempts (id, delivery, number, step, is_lookup, began_at, ended_at, took, class, reason, vendor_status,
    words_sealed)
VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
