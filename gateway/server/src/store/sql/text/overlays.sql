SELECT version, document, fields, note, saved_at, saved_by FROM overlays WHERE account = ?1 ORDER BY version DESC
