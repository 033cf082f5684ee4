SELECT position, at, actor, action, subject, mac FROM audit WHERE tenant = ?1 ORDER BY position
