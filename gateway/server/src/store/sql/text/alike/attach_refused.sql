-- Who was refused before it was noticed stays refused: it may have been sent again, corrected. It is listed with the case.
UPDATE deliveries SET case_id = ?3
WHERE id IN (SELECT delivery FROM alike WHERE account = ?1 AND mark = ?2) AND state = 'refused' AND case_id IS NULL
