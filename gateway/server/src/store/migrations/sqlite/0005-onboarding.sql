-- What an account goes through before it is live, and while its secrets change.

-- Every version of an account's overlay, and the vendor's fields that it was checked against. No personal data: an overlay
-- says where a value comes from, never whose.
CREATE TABLE overlays (
    account  BLOB NOT NULL REFERENCES accounts (id),
    version  INTEGER NOT NULL,
    document TEXT NOT NULL,
    fields   TEXT NOT NULL,
    note     TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    saved_by TEXT NOT NULL,
    PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;

-- What a person, or a check, has found in order before an account goes live.
CREATE TABLE checklist (
    account BLOB NOT NULL REFERENCES accounts (id),
    item    TEXT NOT NULL,
    done    INTEGER NOT NULL,
    note    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    PRIMARY KEY (account, item)
) STRICT, WITHOUT ROWID;

-- live_at NULL: its deliveries are held, in the account's one case, until it goes live. Accounts that were there before
-- are in use. credentials_next_sealed: the newer secrets while two sets live, under the same key as the older ones.
-- credentials_about: since when, until when and when last used, of each set.
ALTER TABLE accounts ADD COLUMN overlay_version INTEGER;
ALTER TABLE accounts ADD COLUMN live_at INTEGER;
ALTER TABLE accounts ADD COLUMN staged_case BLOB;
ALTER TABLE accounts ADD COLUMN credentials_next_sealed BLOB;
ALTER TABLE accounts ADD COLUMN credentials_about TEXT NOT NULL DEFAULT '{}';
UPDATE accounts SET live_at = created_at;
