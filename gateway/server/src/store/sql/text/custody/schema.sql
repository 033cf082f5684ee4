SELECT name, sql FROM main.sqlite_schema
WHERE type = ?1 AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
ORDER BY rowid
