-- The gateway writes and reads the audit; a function that guards the chain removes. A row for each that is gone.
SELECT position FROM causeway_remove_audit(?1, ?2) AS removed (position)
