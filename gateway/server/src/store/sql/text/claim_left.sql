-- What a claim left lying: it waits for another of its person, or somebody else had it locked.
SELECT min(next_attempt_at)
FROM deliveries
WHERE account = ?1 AND lane = ?2 AND next_attempt_at >= ?3 AND next_attempt_at <= ?4
