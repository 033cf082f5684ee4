-- The serial is an index of the person too.
UPDATE deliveries SET fields_sealed = NULL, serial = '\x00000000000000000000000000000000' WHERE id = ?1
