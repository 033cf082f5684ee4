-- A key that came back from a backup opens nothing until a person confirmed the restore: it may have been revoked since.
ALTER TABLE api_keys ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
