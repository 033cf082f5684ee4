SELECT position, mac, signature FROM audit_floors WHERE tenant = ?1
