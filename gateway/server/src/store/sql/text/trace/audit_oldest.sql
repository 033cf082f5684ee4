SELECT position, at, mac FROM audit WHERE tenant = ?1 ORDER BY position LIMIT ?2
