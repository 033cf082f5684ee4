SELECT position, mac FROM audit_heads WHERE tenant = ?1
/*postgres FOR UPDATE*/
