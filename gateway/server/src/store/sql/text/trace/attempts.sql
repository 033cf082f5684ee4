SELECT id, number, step, is_lookup, began_at, ended_at, took, class, reason, vendor_status, words_sealed
FROM attempts INDEXED BY attempts_of_delivery WHERE delivery = ?1 ORDER BY seq
