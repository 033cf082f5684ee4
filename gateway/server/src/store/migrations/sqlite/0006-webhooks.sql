-- Webhooks to the career site. An endpoint is a URL of a tenant, of the real world or of its tests; a message is one
-- webhook to one endpoint, written in the transaction that moves what it tells about. Neither holds personal data.

-- events: a JSON list of types, empty for every type. secrets_sealed: under a key of the endpoint's own; NULL once it was
-- removed, and the key is gone. failing_since: the first failure since the last success.
CREATE TABLE webhook_endpoints (
    id              BLOB PRIMARY KEY,
    tenant          BLOB NOT NULL REFERENCES tenants (id),
    url             TEXT NOT NULL,
    events          TEXT NOT NULL,
    test            INTEGER NOT NULL,
    allow_private   INTEGER NOT NULL,
    secrets_sealed  BLOB,
    created_at      INTEGER NOT NULL,
    failing_since   INTEGER,
    disabled_at     INTEGER,
    disabled_reason TEXT,
    removed_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_endpoints_of_tenant ON webhook_endpoints (tenant) WHERE removed_at IS NULL;

-- What it tells is in columns and becomes the same bytes at every try. status: waiting, delivered, given_up. next_at is the
-- timer of a waiting one: of the next try, or while it is leased of the lease's end. fence counts leases and replays.
CREATE TABLE webhook_messages (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    tenant     BLOB NOT NULL,
    endpoint   BLOB NOT NULL,
    type       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    test       INTEGER NOT NULL,
    submission BLOB,
    delivery   BLOB,
    account    TEXT,
    posting_id TEXT,
    code       TEXT,
    state      TEXT,
    reason     TEXT,
    status     TEXT NOT NULL,
    next_at    INTEGER,
    leased     INTEGER NOT NULL DEFAULT 0,
    fence      INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_at    INTEGER,
    last_said  TEXT
) STRICT;

CREATE INDEX webhook_messages_due ON webhook_messages (endpoint, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_messages_leased ON webhook_messages (leased) WHERE leased = 1;
CREATE INDEX webhook_messages_of_tenant ON webhook_messages (tenant, seq);
CREATE INDEX webhook_messages_by_time ON webhook_messages (at);

-- A case may be about an endpoint: then it has no account.
CREATE TABLE cases_of_both (
    id        BLOB PRIMARY KEY,
    tenant    BLOB NOT NULL,
    account   BLOB,
    delivery  BLOB,
    endpoint  BLOB,
    reason    TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO cases_of_both (id, tenant, account, delivery, reason, opened_at, closed_at)
SELECT id, tenant, account, delivery, reason, opened_at, closed_at FROM cases;

DROP TABLE cases;

ALTER TABLE cases_of_both RENAME TO cases;

CREATE INDEX cases_open ON cases (tenant, opened_at) WHERE closed_at IS NULL;
CREATE INDEX cases_of_delivery ON cases (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX cases_of_endpoint ON cases (endpoint) WHERE endpoint IS NOT NULL;

-- What signs receipts, for every tenant of the installation. seed_sealed: under a key derived from the root key. The key of a
-- receipt is the newest that was there when the application came, or the oldest; none is ever removed.
CREATE TABLE receipt_keys (
    id          BLOB PRIMARY KEY,
    public      BLOB NOT NULL,
    seed_sealed BLOB NOT NULL,
    since       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
