SELECT value FROM meta WHERE name = ?1
/*postgres FOR UPDATE*/
