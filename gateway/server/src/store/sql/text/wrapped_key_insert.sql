INSERT INTO wrapped_keys (owner, kind, tenant, wrapped) VALUES (?1, ?2, ?3, ?4)
