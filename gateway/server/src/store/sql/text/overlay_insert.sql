INSERT INTO overlays (account, version, document, fields, note, saved_at, saved_by)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
