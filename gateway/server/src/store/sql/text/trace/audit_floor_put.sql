INSERT INTO audit_floors (tenant, position, mac, signature) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant) DO UPDATE SET position = excluded.position, mac = excluded.mac, signature = excluded.signature
