SELECT position, mac, signature FROM audit_heads WHERE tenant = ?1
