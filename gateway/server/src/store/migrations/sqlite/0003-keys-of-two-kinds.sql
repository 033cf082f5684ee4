-- A publishable key names the origins of the pages it stands in; NULL: a secret key. A test key reaches only accounts
-- marked as sandboxes, and those are reached by no other key.
ALTER TABLE api_keys ADD COLUMN origins TEXT;
ALTER TABLE api_keys ADD COLUMN test INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN sandbox INTEGER NOT NULL DEFAULT 0;
