SELECT a.repeats
FROM submissions s
JOIN accounts a ON a.id = ?2
WHERE s.id = ?1 AND s.kind = 'accepted' AND s.repeat_of IS NOT NULL
