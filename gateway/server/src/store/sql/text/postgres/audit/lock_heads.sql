SELECT tenant, position, mac FROM audit_heads WHERE tenant = ?1 FOR UPDATE
