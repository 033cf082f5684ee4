SELECT mac FROM audit WHERE tenant = ?1 AND position = ?2
