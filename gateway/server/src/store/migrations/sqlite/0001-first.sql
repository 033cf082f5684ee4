-- The first schema. Times are microseconds since 1970, UTC. Ids are 16 bytes. Columns that end in _sealed hold
-- AEAD ciphertext bound to tenant, table, row and column; nothing else in this file may hold personal data.

-- What the database says about itself: the key check value, the epoch.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id         BLOB PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Wrapped keys live apart from what they open, in the same database, so that a row and its key commit together and
-- destroying a key is deleting a row. kind: tenant (wrapped by the root key); submission, demographics, account
-- (wrapped by the tenant's key). owner: the id of the row the key belongs to.
CREATE TABLE wrapped_keys (
    owner   BLOB NOT NULL,
    kind    TEXT NOT NULL,
    tenant  BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (owner, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id                    BLOB PRIMARY KEY,
    tenant                BLOB NOT NULL REFERENCES tenants (id),
    name                  TEXT NOT NULL,
    connector             TEXT NOT NULL,
    role                  TEXT NOT NULL,
    settings              TEXT NOT NULL,
    allow_private         INTEGER NOT NULL,
    on_invalid            TEXT NOT NULL,
    repeats               TEXT NOT NULL,
    on_unknown            TEXT NOT NULL,
    credentials_sealed    BLOB NOT NULL,
    created_at            INTEGER NOT NULL,
    paused_reason         TEXT,
    paused_since          INTEGER,
    paused_case           BLOB,
    last_complete_sync    INTEGER,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE api_keys (
    id         BLOB PRIMARY KEY,
    tenant     BLOB NOT NULL REFERENCES tenants (id),
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE INDEX api_keys_of_tenant ON api_keys (tenant);

-- A posting's document is sealed whole with the tenant's record key: it names recruiters and hiring managers.
CREATE TABLE postings (
    account         BLOB NOT NULL REFERENCES accounts (id),
    posting_id      TEXT NOT NULL,
    tenant          BLOB NOT NULL,
    document_sealed BLOB NOT NULL,
    content_hash    BLOB NOT NULL,
    first_seen_at   INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    closed_at       INTEGER,
    form_digest     TEXT,
    form_fetched_at INTEGER,
    PRIMARY KEY (account, posting_id)
) STRICT;

CREATE INDEX postings_by_id ON postings (tenant, posting_id);

-- Any id of a job, lower case, to the posting. kind: posting, vendor_job, requisition, sibling.
CREATE TABLE posting_ids (
    tenant     BLOB NOT NULL,
    text       TEXT NOT NULL,
    account    BLOB NOT NULL,
    posting_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    PRIMARY KEY (tenant, text, account, posting_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX posting_ids_of_posting ON posting_ids (account, posting_id);

-- Every version of a form that was ever fetched. Questions are the vendor's, not a person's: not sealed.
CREATE TABLE forms (
    account       BLOB NOT NULL,
    posting_id    TEXT NOT NULL,
    digest        TEXT NOT NULL,
    document      TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (account, posting_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE syncs (
    seq        INTEGER PRIMARY KEY,
    account    BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    complete   INTEGER NOT NULL,
    listed     INTEGER NOT NULL,
    opened     INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    closed     INTEGER NOT NULL
) STRICT;

CREATE INDEX syncs_of_account ON syncs (account, started_at);

-- What sites sent. kind: accepted, refused. The document is sealed with the submission's own key; its demographics are
-- cut out of the bytes (at demographics_at) and sealed with a key of their own. email_base is NULL where it equals
-- email_exact: looking a base form up means email_exact = base OR email_base = base. key_hash is the idempotency key,
-- keyed per tenant: the caller's text is not here. Only an acceptance binds one, with its fingerprint. code spells number,
-- which is found by an index that grows at its end.
CREATE TABLE submissions (
    seq                 INTEGER PRIMARY KEY,
    id                  BLOB NOT NULL UNIQUE,
    tenant              BLOB NOT NULL,
    kind                TEXT NOT NULL,
    api_key             BLOB NOT NULL,
    received_at         INTEGER NOT NULL,
    posting_id          TEXT NOT NULL,
    posting_account     BLOB,
    form_digest         TEXT,
    email_exact         BLOB,
    email_base          BLOB,
    normaliser          INTEGER NOT NULL,
    fingerprint         BLOB,
    key_hash            BLOB,
    code                TEXT,
    number              INTEGER,
    repeat_of           BLOB,
    receipt             BLOB,
    problem             TEXT,
    count               INTEGER NOT NULL DEFAULT 1,
    last_at             INTEGER NOT NULL,
    trace_id            TEXT NOT NULL,
    test                INTEGER NOT NULL DEFAULT 0,
    erased_at           INTEGER,
    demographics_at     INTEGER,
    demographics_sealed BLOB,
    errors_sealed       BLOB,
    document_sealed     BLOB
) STRICT;

CREATE INDEX submissions_by_email ON submissions (tenant, email_exact, posting_id, received_at)
    WHERE email_exact IS NOT NULL;
CREATE INDEX submissions_by_base ON submissions (tenant, email_base, received_at) WHERE email_base IS NOT NULL;
CREATE UNIQUE INDEX submissions_by_number ON submissions (number) WHERE number IS NOT NULL;
CREATE UNIQUE INDEX submissions_by_key ON submissions (tenant, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX submissions_keyed ON submissions (received_at) WHERE key_hash IS NOT NULL;
CREATE INDEX submissions_by_time ON submissions (tenant, received_at);
CREATE INDEX submissions_by_posting ON submissions (tenant, posting_id, received_at);
CREATE INDEX submissions_refused ON submissions (tenant, received_at) WHERE kind = 'refused';

-- The file's plaintext hash, size and id in the document are inside meta_sealed, under the submission's key.
CREATE TABLE attachments (
    blob        BLOB PRIMARY KEY,
    submission  BLOB NOT NULL REFERENCES submissions (id),
    tenant      BLOB NOT NULL,
    position    INTEGER NOT NULL,
    meta_sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX attachments_of_submission ON attachments (submission);

-- next_attempt_at is the timer of queued, waiting and verifying; in_flight has lease_until instead; settled states have
-- neither. lane: 0 fresh, 1 bulk (what a resumed account releases). serial: HMAC of e-mail and posting; at most one row
-- per (account, serial) is in_flight or verifying. verifying_* is set while an attempt's outcome is unknown. read_back_at
-- is the timer of a delivered row whose record is still to be read at the vendor.
CREATE TABLE deliveries (
    seq                INTEGER PRIMARY KEY,
    id                 BLOB NOT NULL UNIQUE,
    tenant             BLOB NOT NULL,
    submission         BLOB NOT NULL REFERENCES submissions (id),
    account            BLOB NOT NULL REFERENCES accounts (id),
    serial             BLOB NOT NULL,
    state              TEXT NOT NULL,
    held_cause         TEXT,
    reason             TEXT,
    fields_sealed      BLOB,
    changed_at         INTEGER NOT NULL,
    lane               INTEGER NOT NULL DEFAULT 0,
    next_attempt_at    INTEGER,
    attempts           INTEGER NOT NULL DEFAULT 0,
    attempt_number     INTEGER NOT NULL DEFAULT 0,
    open_attempt       BLOB,
    claims             INTEGER NOT NULL DEFAULT 0,
    fence              INTEGER NOT NULL DEFAULT 0,
    lease_owner        TEXT,
    lease_until        INTEGER,
    claimed_from       TEXT,
    verifying_step     TEXT,
    verifying_since    INTEGER,
    verifying_not_seen INTEGER NOT NULL DEFAULT 0,
    verifying_asked    INTEGER NOT NULL DEFAULT 0,
    refs               TEXT NOT NULL DEFAULT '{}',
    vendor_id          TEXT,
    possible_duplicate INTEGER NOT NULL DEFAULT 0,
    form_digest        TEXT,
    case_id            BLOB,
    sent_at            INTEGER,
    said_yes_at        INTEGER,
    seen_at            INTEGER,
    not_verifiable     TEXT,
    read_back_at       INTEGER,
    read_back_asked    INTEGER NOT NULL DEFAULT 0,
    read_back_missed   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX deliveries_of_submission ON deliveries (submission);
CREATE INDEX deliveries_of_account ON deliveries (account);
CREATE INDEX deliveries_due ON deliveries (account, lane, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX deliveries_serial ON deliveries (account, serial) WHERE state IN ('in_flight', 'verifying');
CREATE INDEX deliveries_held ON deliveries (held_cause, account) WHERE held_cause IS NOT NULL;
CREATE INDEX deliveries_unproven ON deliveries (account, read_back_at) WHERE read_back_at IS NOT NULL;
CREATE INDEX deliveries_of_case ON deliveries (case_id) WHERE case_id IS NOT NULL;

-- Steps settled well.
CREATE TABLE steps (
    delivery BLOB NOT NULL REFERENCES deliveries (id),
    step     TEXT NOT NULL,
    done_at  INTEGER NOT NULL,
    PRIMARY KEY (delivery, step)
) STRICT, WITHOUT ROWID;

-- Tries, and lookups of unknown ones. Open while ended_at is NULL; for ever, if the process died.
CREATE TABLE attempts (
    seq           INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE,
    delivery      BLOB NOT NULL REFERENCES deliveries (id),
    number        INTEGER NOT NULL,
    step          TEXT NOT NULL,
    is_lookup     INTEGER NOT NULL,
    began_at      INTEGER NOT NULL,
    ended_at      INTEGER,
    took          INTEGER,
    class         TEXT,
    reason        TEXT,
    vendor_status INTEGER,
    words_sealed  BLOB
) STRICT;

CREATE INDEX attempts_of_delivery ON attempts (delivery, seq);

-- A vendor's record belongs to one delivery.
CREATE TABLE vendor_links (
    account   BLOB NOT NULL,
    vendor_id TEXT NOT NULL,
    delivery  BLOB NOT NULL,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (account, vendor_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX vendor_links_of_delivery ON vendor_links (delivery);

-- delivery is NULL for a case about a whole account.
CREATE TABLE cases (
    id        BLOB PRIMARY KEY,
    tenant    BLOB NOT NULL,
    account   BLOB NOT NULL,
    delivery  BLOB,
    reason    TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX cases_open ON cases (tenant, opened_at) WHERE closed_at IS NULL;
CREATE INDEX cases_of_delivery ON cases (delivery) WHERE delivery IS NOT NULL;

-- mac = HMAC(tenant's audit key, mac before | position | at | actor | action | subject).
CREATE TABLE audit (
    tenant   BLOB NOT NULL,
    position INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    mac      BLOB NOT NULL,
    PRIMARY KEY (tenant, position)
) STRICT, WITHOUT ROWID;

-- The newest row of each chain, signed, so that a cut tail shows.
CREATE TABLE audit_heads (
    tenant    BLOB PRIMARY KEY,
    position  INTEGER NOT NULL,
    mac       BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Empty blobs and texts stand for "not recognised".
CREATE TABLE edge_counts (
    tenant  BLOB NOT NULL,
    minute  INTEGER NOT NULL,
    api_key BLOB NOT NULL,
    job     TEXT NOT NULL,
    code    TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (tenant, minute, api_key, job, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX edge_counts_by_time ON edge_counts (minute);

-- A blind index and a date; nothing else remains of a person who was erased.
CREATE TABLE tombstones (
    tenant      BLOB NOT NULL,
    email_exact BLOB NOT NULL,
    normaliser  INTEGER NOT NULL,
    erased_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant, email_exact)
) STRICT, WITHOUT ROWID;

-- What a restored backup must erase again before it serves.
CREATE TABLE erasure_log (
    seq         INTEGER PRIMARY KEY,
    tenant      BLOB NOT NULL,
    email_exact BLOB NOT NULL,
    erased_at   INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    reached     TEXT NOT NULL
) STRICT;

CREATE TABLE job_leases (
    job         TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    fence       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
