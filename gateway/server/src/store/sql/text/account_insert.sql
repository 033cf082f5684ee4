INSERT INTO accounts (id, tenant, name, connector, role, settings, allow_private, on_invalid, repeats, on_unknown,
    credentials_sealed, sandbox, created_at, live_at, credentials_about)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
