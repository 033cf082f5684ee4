-- What remains to be done elsewhere after a person was erased here, and retention of classes of their own.

-- Copies at vendors of what was erased: only the vendor can erase them, so each is listed until somebody recorded how it
-- ended. One row per delivery that reached a vendor or may have. state: by_hand, asked_vendor, confirmed, not_there.
CREATE TABLE vendor_copies (
    delivery   BLOB PRIMARY KEY,
    tenant     BLOB NOT NULL,
    account    BLOB NOT NULL,
    vendor_id  TEXT,
    since      INTEGER,
    erased_at  INTEGER NOT NULL,
    state      TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX vendor_copies_of_tenant ON vendor_copies (tenant, erased_at);

-- The last audit row that retention removed from each chain, signed: the chain is checked from there.
CREATE TABLE audit_floors (
    tenant    BLOB PRIMARY KEY,
    position  INTEGER NOT NULL,
    mac       BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_time ON attempts (began_at);

-- demographics_at without demographics_sealed: there were some, and their time is over.
CREATE INDEX submissions_with_demographics ON submissions (tenant, received_at) WHERE demographics_sealed IS NOT NULL;
