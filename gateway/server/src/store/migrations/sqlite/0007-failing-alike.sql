-- Deliveries that failed alike, while it counts. mark: a hash of what the failures have in common, no personal data.
-- times: how often this one failed so. clean: nothing has gone well at that step since.
CREATE TABLE alike (
    account    BLOB NOT NULL,
    mark       TEXT NOT NULL,
    delivery   BLOB NOT NULL,
    step       TEXT NOT NULL,
    class      TEXT NOT NULL,
    posting_id TEXT NOT NULL,
    last_at    INTEGER NOT NULL,
    times      INTEGER NOT NULL,
    clean      INTEGER NOT NULL,
    PRIMARY KEY (account, mark, delivery)
) STRICT, WITHOUT ROWID;

-- A mark that so many share that they are held, in the case. everyone: those that were not tried yet are held, too. probe:
-- the one that is tried meanwhile; without one, next_probe_at is when there will be.
CREATE TABLE alike_groups (
    account       BLOB NOT NULL,
    mark          TEXT NOT NULL,
    tenant        BLOB NOT NULL,
    step          TEXT NOT NULL,
    class         TEXT NOT NULL,
    reason        TEXT,
    vendor_status INTEGER,
    fields        TEXT NOT NULL,
    everyone      INTEGER NOT NULL,
    case_id       BLOB NOT NULL,
    opened_at     INTEGER NOT NULL,
    probe         BLOB,
    probes        INTEGER NOT NULL DEFAULT 0,
    next_probe_at INTEGER,
    PRIMARY KEY (account, mark)
) STRICT, WITHOUT ROWID;
