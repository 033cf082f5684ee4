-- Who was tried longest ago: one that fails for reasons of its own must not be every probe.
SELECT id FROM deliveries WHERE case_id = ?1 AND held_cause = 'fails_alike' ORDER BY changed_at, seq LIMIT 1
