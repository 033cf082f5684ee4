SELECT position, at, actor, action, subject, mac
FROM audit
WHERE tenant = ?1 AND position > ?2
ORDER BY position
LIMIT ?3
