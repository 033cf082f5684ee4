-- Who waits for another try of its own, or is held for a person for this very failure, is held with the others.
UPDATE deliveries
SET state = 'held', held_cause = 'fails_alike', reason = 'fails_alike', case_id = ?3, changed_at = ?4, next_attempt_at = NULL
WHERE id IN (SELECT delivery FROM alike WHERE account = ?1 AND mark = ?2 AND ((CAST(?6 AS BIGINT) = 1 AND clean = 1) OR times >= 3))
    AND (state = 'waiting' OR (state = 'held' AND held_cause = 'operator' AND reason = ?5))
