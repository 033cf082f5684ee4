UPDATE cases SET closed_at = ?3
WHERE closed_at IS NULL AND reason = ?4
    AND delivery IN (SELECT delivery FROM alike WHERE account = ?1 AND mark = ?2 AND (clean = 1 OR times >= 3))
