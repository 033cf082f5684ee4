-- The serial is an index of the person too.
UPDATE deliveries SET fields_sealed = NULL, serial = zeroblob(16) WHERE id = ?1
