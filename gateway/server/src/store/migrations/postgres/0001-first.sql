-- The first schema: what SQLite's migrations come to, in PostgreSQL's terms. Times are microseconds since 1970, UTC. Ids
-- are 16 bytes, and begin with the millisecond they were made in. A flag is a bigint, 0 or 1. Text is compared byte by
-- byte, as in SQLite. Columns that end in _sealed hold AEAD ciphertext bound to tenant, table, row and column; nothing
-- else in this file may hold personal data. Every row of a tenant names it, also where SQLite finds it through a parent:
-- row-level security (0002) asks the row alone.
--
-- The rule for every migration: programs of the version before run on it meanwhile. It only adds, what it adds has a
-- default, and nothing that is there changes its meaning. It runs in one transaction, so a killed one leaves nothing.

-- Roles belong to the whole server: a migration of another of its databases may be making them at this moment.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['causeway_owner', 'causeway_gateway', 'causeway_leases'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    -- The gateway may become causeway_leases, and is NOINHERIT: until it does, it has none of its rights.
    BEGIN
        IF NOT pg_has_role('causeway_gateway', 'causeway_leases', 'MEMBER') THEN
            GRANT causeway_leases TO causeway_gateway;
        END IF;
    EXCEPTION WHEN unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'causeway_owner', 'MEMBER') THEN
        EXECUTE format('GRANT causeway_owner TO %I', current_user);
    END IF;
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO causeway_owner;
GRANT USAGE ON SCHEMA public TO causeway_gateway, causeway_leases;

SET LOCAL ROLE causeway_owner;
-- Nobody reaches what is made from here on before 0002 says who may.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What the database says about itself: the key check value, the epoch.
CREATE TABLE meta (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE tenants (
    id         bytea PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    created_at bigint NOT NULL
);

-- Wrapped keys live apart from what they open, in the same database, so that a row and its key commit together and
-- destroying a key is deleting a row. kind: tenant (wrapped by the root key); submission, demographics, account, endpoint
-- (wrapped by the tenant's key). owner: the id of the row the key belongs to.
CREATE TABLE wrapped_keys (
    owner   bytea NOT NULL,
    kind    text COLLATE "C" NOT NULL,
    tenant  bytea NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (owner, kind)
);

CREATE INDEX wrapped_keys_of_tenants ON wrapped_keys (owner) WHERE kind = 'tenant';

-- A test key reaches only accounts marked as sandboxes. live_at NULL: its deliveries are held, in the account's one case,
-- until it goes live. credentials_next_sealed: the newer secrets while two sets live, under the same key as the older ones.
-- credentials_about: since when, until when and when last used, of each set.
CREATE TABLE accounts (
    id                      bytea PRIMARY KEY,
    tenant                  bytea NOT NULL REFERENCES tenants (id),
    name                    text COLLATE "C" NOT NULL,
    connector               text COLLATE "C" NOT NULL,
    role                    text COLLATE "C" NOT NULL,
    settings                text COLLATE "C" NOT NULL,
    allow_private           bigint NOT NULL,
    on_invalid              text COLLATE "C" NOT NULL,
    repeats                 text COLLATE "C" NOT NULL,
    on_unknown              text COLLATE "C" NOT NULL,
    sandbox                 bigint NOT NULL DEFAULT 0,
    credentials_sealed      bytea NOT NULL,
    credentials_next_sealed bytea,
    credentials_about       text COLLATE "C" NOT NULL DEFAULT '{}',
    created_at              bigint NOT NULL,
    live_at                 bigint,
    staged_case             bytea,
    paused_reason           text COLLATE "C",
    paused_since            bigint,
    paused_case             bytea,
    last_complete_sync      bigint,
    overlay_version         bigint,
    UNIQUE (tenant, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- A publishable key names the origins of the pages it stands in; NULL: a secret key. suspended: it came back from a
-- backup, and opens nothing until a person confirmed the restore.
CREATE TABLE api_keys (
    id         bytea PRIMARY KEY,
    tenant     bytea NOT NULL REFERENCES tenants (id),
    name       text COLLATE "C" NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    scopes     text COLLATE "C" NOT NULL,
    origins    text COLLATE "C",
    test       bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    revoked_at bigint,
    suspended  bigint NOT NULL DEFAULT 0
);

CREATE INDEX api_keys_of_tenant ON api_keys (tenant);

-- A posting's document is sealed whole with the tenant's record key: it names recruiters and hiring managers.
CREATE TABLE postings (
    account         bytea NOT NULL REFERENCES accounts (id),
    posting_id      text COLLATE "C" NOT NULL,
    tenant          bytea NOT NULL,
    document_sealed bytea NOT NULL,
    content_hash    bytea NOT NULL,
    first_seen_at   bigint NOT NULL,
    changed_at      bigint NOT NULL,
    closed_at       bigint,
    form_digest     text COLLATE "C",
    form_fetched_at bigint,
    PRIMARY KEY (account, posting_id)
) WITH (fillfactor = 80);

CREATE INDEX postings_by_id ON postings (tenant, posting_id);

-- Any id of a job, lower case, to the posting. kind: posting, vendor_job, requisition, sibling.
CREATE TABLE posting_ids (
    tenant     bytea NOT NULL,
    text       text COLLATE "C" NOT NULL,
    account    bytea NOT NULL,
    posting_id text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, text, account, posting_id, kind)
);

CREATE INDEX posting_ids_of_posting ON posting_ids (account, posting_id);

-- Every version of a form that was ever fetched. Questions are the vendor's, not a person's: not sealed.
CREATE TABLE forms (
    account       bytea NOT NULL,
    posting_id    text COLLATE "C" NOT NULL,
    digest        text COLLATE "C" NOT NULL,
    tenant        bytea NOT NULL,
    document      text COLLATE "C" NOT NULL,
    first_seen_at bigint NOT NULL,
    PRIMARY KEY (account, posting_id, digest)
);

CREATE TABLE syncs (
    seq        bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    account    bytea NOT NULL,
    tenant     bytea NOT NULL,
    started_at bigint NOT NULL,
    complete   bigint NOT NULL,
    listed     bigint NOT NULL,
    opened     bigint NOT NULL,
    changed    bigint NOT NULL,
    closed     bigint NOT NULL
);

CREATE INDEX syncs_of_account ON syncs (account, started_at);

-- Every version of an account's overlay, and the vendor's fields that it was checked against. No personal data: an overlay
-- says where a value comes from, never whose.
CREATE TABLE overlays (
    account  bytea NOT NULL REFERENCES accounts (id),
    version  bigint NOT NULL,
    tenant   bytea NOT NULL,
    document text COLLATE "C" NOT NULL,
    fields   text COLLATE "C" NOT NULL,
    note     text COLLATE "C" NOT NULL,
    saved_at bigint NOT NULL,
    saved_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, version)
);

-- What a person, or a check, has found in order before an account goes live.
CREATE TABLE checklist (
    account bytea NOT NULL REFERENCES accounts (id),
    item    text COLLATE "C" NOT NULL,
    tenant  bytea NOT NULL,
    done    bigint NOT NULL,
    note    text COLLATE "C" NOT NULL,
    at      bigint NOT NULL,
    actor   text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, item)
);

-- What sites sent. kind: accepted, refused. The document is sealed with the submission's own key; its demographics are
-- cut out of the bytes (at demographics_at) and sealed with a key of their own; demographics_at without
-- demographics_sealed: there were some, and their time is over. email_base is NULL where it equals email_exact. key_hash is
-- the idempotency key, keyed per tenant: the caller's text is not here. Only an acceptance binds one, with its fingerprint.
-- code spells number, which is found by an index that grows at its end. targets: how many deliveries an acceptance was
-- promised, beside the deliveries there are; the ledger holds the one against the other.
-- The two kinds are apart: what must be unique is so among the accepted, and the refused, who stay a fortnight, go by week.
-- Nothing refers to a submission by a foreign key: its rows are written and removed with it, by the same verb.
CREATE SEQUENCE submissions_seq CACHE 1;

CREATE TABLE submissions (
    seq                 bigint NOT NULL DEFAULT nextval('submissions_seq'),
    id                  bytea NOT NULL,
    tenant              bytea NOT NULL,
    kind                text COLLATE "C" NOT NULL,
    api_key             bytea NOT NULL,
    received_at         bigint NOT NULL,
    posting_id          text COLLATE "C" NOT NULL,
    posting_account     bytea,
    form_digest         text COLLATE "C",
    email_exact         bytea,
    email_base          bytea,
    normaliser          bigint NOT NULL,
    fingerprint         bytea,
    key_hash            bytea,
    code                text COLLATE "C",
    number              bigint,
    repeat_of           bytea,
    receipt             bytea,
    problem             text COLLATE "C",
    count               bigint NOT NULL DEFAULT 1,
    last_at             bigint NOT NULL,
    trace_id            text COLLATE "C" NOT NULL,
    test                bigint NOT NULL DEFAULT 0,
    erased_at           bigint,
    demographics_at     bigint,
    demographics_sealed bytea,
    errors_sealed       bytea,
    document_sealed     bytea,
    targets             bigint NOT NULL DEFAULT 0
) PARTITION BY LIST (kind);

ALTER SEQUENCE submissions_seq OWNED BY submissions.seq;
-- Ciphertext does not compress.
ALTER TABLE submissions
    ALTER COLUMN document_sealed SET STORAGE EXTERNAL,
    ALTER COLUMN demographics_sealed SET STORAGE EXTERNAL,
    ALTER COLUMN errors_sealed SET STORAGE EXTERNAL,
    ALTER COLUMN receipt SET STORAGE EXTERNAL;

CREATE TABLE submissions_accepted PARTITION OF submissions FOR VALUES IN ('accepted');
CREATE TABLE submissions_refused PARTITION OF submissions FOR VALUES IN ('refused') PARTITION BY RANGE (received_at);
CREATE TABLE submissions_refused_rest PARTITION OF submissions_refused DEFAULT;

-- The ledger's sum is read from it alone, too, with what the wall and the partition ask: an index for that would be one more
-- write for each.
CREATE UNIQUE INDEX submissions_accepted_id ON submissions_accepted (id) INCLUDE (tenant, kind, targets);
CREATE UNIQUE INDEX submissions_by_number ON submissions_accepted (number) WHERE number IS NOT NULL;
CREATE UNIQUE INDEX submissions_by_key ON submissions_accepted (tenant, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX submissions_keyed ON submissions_accepted (received_at) WHERE key_hash IS NOT NULL;
CREATE INDEX submissions_refused_id ON submissions_refused (id);
CREATE INDEX submissions_by_email ON submissions (tenant, email_exact, posting_id, received_at)
    WHERE email_exact IS NOT NULL;
CREATE INDEX submissions_by_base ON submissions (tenant, email_base, received_at) WHERE email_base IS NOT NULL;
-- For lookups, which say the condition. It is always true; an accept does not say it, so that no plan for one, made while
-- nothing was known about these tables yet, can walk over all that a tenant or a posting ever got.
CREATE INDEX submissions_by_time ON submissions (tenant, received_at) WHERE normaliser >= 0;
CREATE INDEX submissions_by_posting ON submissions (tenant, posting_id, received_at) WHERE normaliser >= 0;
CREATE INDEX submissions_with_demographics ON submissions (tenant, received_at) WHERE demographics_sealed IS NOT NULL;

-- The file's plaintext hash, size and id in the document are inside meta_sealed, under the submission's key.
CREATE TABLE attachments (
    blob        bytea PRIMARY KEY,
    submission  bytea NOT NULL,
    tenant      bytea NOT NULL,
    position    bigint NOT NULL,
    meta_sealed bytea NOT NULL
);

CREATE INDEX attachments_of_submission ON attachments (submission);

-- next_attempt_at is the timer of queued, waiting and verifying; in_flight has lease_until instead; settled states have
-- neither. lane: 0 fresh, 1 bulk (what a resumed account releases). serial: HMAC of e-mail and posting; at most one row
-- per (account, serial) is in_flight or verifying. verifying_* is set while an attempt's outcome is unknown. read_back_at
-- is the timer of a delivered row whose record is still to be read at the vendor.
-- A row changes three or four times, within seconds mostly: there is room for its next version beside it, and what is dead
-- is cleaned up early.
CREATE TABLE deliveries (
    seq                bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id                 bytea NOT NULL UNIQUE,
    tenant             bytea NOT NULL,
    submission         bytea NOT NULL,
    account            bytea NOT NULL,
    serial             bytea NOT NULL,
    state              text COLLATE "C" NOT NULL,
    held_cause         text COLLATE "C",
    reason             text COLLATE "C",
    fields_sealed      bytea,
    changed_at         bigint NOT NULL,
    lane               bigint NOT NULL DEFAULT 0,
    next_attempt_at    bigint,
    attempts           bigint NOT NULL DEFAULT 0,
    attempt_number     bigint NOT NULL DEFAULT 0,
    open_attempt       bytea,
    claims             bigint NOT NULL DEFAULT 0,
    fence              bigint NOT NULL DEFAULT 0,
    lease_owner        text COLLATE "C",
    lease_until        bigint,
    claimed_from       text COLLATE "C",
    verifying_step     text COLLATE "C",
    verifying_since    bigint,
    verifying_not_seen bigint NOT NULL DEFAULT 0,
    verifying_asked    bigint NOT NULL DEFAULT 0,
    refs               text COLLATE "C" NOT NULL DEFAULT '{}',
    vendor_id          text COLLATE "C",
    possible_duplicate bigint NOT NULL DEFAULT 0,
    form_digest        text COLLATE "C",
    case_id            bytea,
    sent_at            bigint,
    said_yes_at        bigint,
    seen_at            bigint,
    not_verifiable     text COLLATE "C",
    read_back_at       bigint,
    read_back_asked    bigint NOT NULL DEFAULT 0,
    read_back_missed   bigint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.02
);

ALTER TABLE deliveries ALTER COLUMN fields_sealed SET STORAGE EXTERNAL;

CREATE INDEX deliveries_of_submission ON deliveries (submission);
CREATE INDEX deliveries_of_account ON deliveries (account, seq);
CREATE INDEX deliveries_due ON deliveries (account, lane, next_attempt_at, seq) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE lease_until IS NOT NULL;
CREATE UNIQUE INDEX deliveries_serial ON deliveries (account, serial) WHERE state IN ('in_flight', 'verifying');
CREATE INDEX deliveries_held ON deliveries (held_cause, account) WHERE held_cause IS NOT NULL;
CREATE INDEX deliveries_unproven ON deliveries (account, read_back_at) WHERE read_back_at IS NOT NULL;
CREATE INDEX deliveries_of_case ON deliveries (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX deliveries_settled ON deliveries (state) INCLUDE (tenant)
    WHERE state IN ('delivered', 'refused', 'parked', 'cancelled', 'erased');

-- Steps settled well.
CREATE TABLE steps (
    delivery bytea NOT NULL,
    step     text COLLATE "C" NOT NULL,
    tenant   bytea NOT NULL,
    done_at  bigint NOT NULL,
    PRIMARY KEY (delivery, step)
);

-- Tries, and lookups of unknown ones. Open while ended_at is NULL; for ever, if the process died. Apart by the time in the
-- id, so that a try is found, and is unique, by its id.
CREATE SEQUENCE attempts_seq CACHE 1;

CREATE TABLE attempts (
    seq           bigint NOT NULL DEFAULT nextval('attempts_seq'),
    id            bytea NOT NULL PRIMARY KEY,
    delivery      bytea NOT NULL,
    tenant        bytea NOT NULL,
    number        bigint NOT NULL,
    step          text COLLATE "C" NOT NULL,
    is_lookup     bigint NOT NULL,
    began_at      bigint NOT NULL,
    ended_at      bigint,
    took          bigint,
    class         text COLLATE "C",
    reason        text COLLATE "C",
    vendor_status bigint,
    words_sealed  bytea
) PARTITION BY RANGE (id);

ALTER SEQUENCE attempts_seq OWNED BY attempts.seq;
ALTER TABLE attempts ALTER COLUMN words_sealed SET STORAGE EXTERNAL;

CREATE TABLE attempts_rest PARTITION OF attempts DEFAULT;

CREATE INDEX attempts_of_delivery ON attempts (delivery, seq);
CREATE INDEX attempts_by_time ON attempts (began_at);

-- A vendor's record belongs to one delivery.
CREATE TABLE vendor_links (
    account   bytea NOT NULL,
    vendor_id text COLLATE "C" NOT NULL,
    tenant    bytea NOT NULL,
    delivery  bytea NOT NULL,
    linked_at bigint NOT NULL,
    PRIMARY KEY (account, vendor_id)
);

CREATE INDEX vendor_links_of_delivery ON vendor_links (delivery);

-- About a delivery, a whole account or a webhook endpoint.
CREATE TABLE cases (
    id        bytea PRIMARY KEY,
    tenant    bytea NOT NULL,
    account   bytea,
    delivery  bytea,
    endpoint  bytea,
    reason    text COLLATE "C" NOT NULL,
    opened_at bigint NOT NULL,
    closed_at bigint
);

CREATE INDEX cases_open ON cases (tenant, opened_at) WHERE closed_at IS NULL;
CREATE INDEX cases_of_delivery ON cases (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX cases_of_endpoint ON cases (endpoint) WHERE endpoint IS NOT NULL;

-- mac = HMAC(tenant's audit key, mac before | position | at | actor | action | subject). Apart by time, so the key has the
-- time in it; that a position is given once is kept by the head's row, which every appender locks.
CREATE TABLE audit (
    tenant   bytea NOT NULL,
    position bigint NOT NULL,
    at       bigint NOT NULL,
    actor    text COLLATE "C" NOT NULL,
    action   text COLLATE "C" NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    mac      bytea NOT NULL,
    PRIMARY KEY (tenant, position, at)
) PARTITION BY RANGE (at);

CREATE TABLE audit_rest PARTITION OF audit DEFAULT;

-- The newest row of each chain, signed, so that a cut tail shows.
CREATE TABLE audit_heads (
    tenant    bytea PRIMARY KEY,
    position  bigint NOT NULL,
    mac       bytea NOT NULL,
    signature bytea NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- The last audit row that retention removed from each chain, signed: the chain is checked from there.
CREATE TABLE audit_floors (
    tenant    bytea PRIMARY KEY,
    position  bigint NOT NULL,
    mac       bytea NOT NULL,
    signature bytea NOT NULL
);

-- Empty blobs and texts stand for "not recognised".
CREATE TABLE edge_counts (
    tenant  bytea NOT NULL,
    minute  bigint NOT NULL,
    api_key bytea NOT NULL,
    job     text COLLATE "C" NOT NULL,
    code    text COLLATE "C" NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (tenant, minute, api_key, job, code)
) WITH (fillfactor = 80);

CREATE INDEX edge_counts_by_time ON edge_counts (minute);

-- A blind index and a date; nothing else remains of a person who was erased.
CREATE TABLE tombstones (
    tenant      bytea NOT NULL,
    email_exact bytea NOT NULL,
    normaliser  bigint NOT NULL,
    erased_at   bigint NOT NULL,
    PRIMARY KEY (tenant, email_exact)
);

-- What a restored backup must erase again before it serves.
CREATE TABLE erasure_log (
    seq         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant      bytea NOT NULL,
    email_exact bytea NOT NULL,
    erased_at   bigint NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    reached     text COLLATE "C" NOT NULL
);

-- Copies at vendors of what was erased: only the vendor can erase them, so each is listed until somebody recorded how it
-- ended. One row per delivery that reached a vendor or may have. state: by_hand, asked_vendor, confirmed, not_there.
CREATE TABLE vendor_copies (
    delivery   bytea PRIMARY KEY,
    tenant     bytea NOT NULL,
    account    bytea NOT NULL,
    vendor_id  text COLLATE "C",
    since      bigint,
    erased_at  bigint NOT NULL,
    state      text COLLATE "C" NOT NULL,
    changed_at bigint NOT NULL,
    changed_by text COLLATE "C" NOT NULL
);

CREATE INDEX vendor_copies_of_tenant ON vendor_copies (tenant, erased_at);

CREATE TABLE job_leases (
    job         text COLLATE "C" PRIMARY KEY,
    owner       text COLLATE "C" NOT NULL,
    lease_until bigint NOT NULL,
    fence       bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Webhooks to the career site. An endpoint is a URL of a tenant, of the real world or of its tests; a message is one
-- webhook to one endpoint, written in the transaction that moves what it tells about. Neither holds personal data.

-- events: a JSON list of types, empty for every type. secrets_sealed: under a key of the endpoint's own; NULL once it was
-- removed, and the key is gone. failing_since: the first failure since the last success.
CREATE TABLE webhook_endpoints (
    id              bytea PRIMARY KEY,
    tenant          bytea NOT NULL REFERENCES tenants (id),
    url             text COLLATE "C" NOT NULL,
    events          text COLLATE "C" NOT NULL,
    test            bigint NOT NULL,
    allow_private   bigint NOT NULL,
    secrets_sealed  bytea,
    created_at      bigint NOT NULL,
    failing_since   bigint,
    disabled_at     bigint,
    disabled_reason text COLLATE "C",
    removed_at      bigint
) WITH (fillfactor = 50);

CREATE INDEX webhook_endpoints_of_tenant ON webhook_endpoints (tenant) WHERE removed_at IS NULL;

-- What it tells is in columns and becomes the same bytes at every try. status: waiting, delivered, given_up. next_at is the
-- timer of a waiting one: of the next try, or while it is leased of the lease's end. fence counts leases and replays. Apart
-- by the time in the id, as attempts are.
CREATE SEQUENCE webhook_messages_seq CACHE 1;

CREATE TABLE webhook_messages (
    seq        bigint NOT NULL DEFAULT nextval('webhook_messages_seq'),
    id         bytea NOT NULL PRIMARY KEY,
    tenant     bytea NOT NULL,
    endpoint   bytea NOT NULL,
    type       text COLLATE "C" NOT NULL,
    at         bigint NOT NULL,
    test       bigint NOT NULL,
    submission bytea,
    delivery   bytea,
    account    text COLLATE "C",
    posting_id text COLLATE "C",
    code       text COLLATE "C",
    state      text COLLATE "C",
    reason     text COLLATE "C",
    status     text COLLATE "C" NOT NULL,
    next_at    bigint,
    leased     bigint NOT NULL DEFAULT 0,
    fence      bigint NOT NULL DEFAULT 0,
    attempts   bigint NOT NULL DEFAULT 0,
    last_at    bigint,
    last_said  text COLLATE "C"
) PARTITION BY RANGE (id);

ALTER SEQUENCE webhook_messages_seq OWNED BY webhook_messages.seq;

CREATE TABLE webhook_messages_rest PARTITION OF webhook_messages DEFAULT;

CREATE INDEX webhook_messages_of_seq ON webhook_messages (seq);
CREATE INDEX webhook_messages_due ON webhook_messages (endpoint, next_at, seq) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_messages_leased ON webhook_messages (leased) WHERE leased = 1;
CREATE INDEX webhook_messages_of_tenant ON webhook_messages (tenant, seq);
CREATE INDEX webhook_messages_by_time ON webhook_messages (at);

-- What signs receipts, for every tenant of the installation. seed_sealed: under a key derived from the root key. The key of a
-- receipt is the newest that was there when the application came, or the oldest; none is ever removed.
CREATE TABLE receipt_keys (
    id          bytea PRIMARY KEY,
    public      bytea NOT NULL,
    seed_sealed bytea NOT NULL,
    since       bigint NOT NULL
);

-- Deliveries that failed alike, while it counts. mark: a hash of what the failures have in common, no personal data.
-- times: how often this one failed so. clean: nothing has gone well at that step since.
CREATE TABLE alike (
    account    bytea NOT NULL,
    mark       text COLLATE "C" NOT NULL,
    delivery   bytea NOT NULL,
    tenant     bytea NOT NULL,
    step       text COLLATE "C" NOT NULL,
    class      text COLLATE "C" NOT NULL,
    posting_id text COLLATE "C" NOT NULL,
    last_at    bigint NOT NULL,
    times      bigint NOT NULL,
    clean      bigint NOT NULL,
    PRIMARY KEY (account, mark, delivery)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

CREATE INDEX alike_by_time ON alike (last_at);
CREATE INDEX alike_clean ON alike (account, step) WHERE clean = 1;

-- Replayed by a person: may try once, whoever else is held.
CREATE TABLE alike_allowed (
    delivery bytea PRIMARY KEY,
    tenant   bytea NOT NULL
);

-- A mark that so many share that they are held, in the case. everyone: those that were not tried yet are held, too. probe:
-- the one that is tried meanwhile. next_probe_at: when the next one is, if nothing went well by then.
CREATE TABLE alike_groups (
    account       bytea NOT NULL,
    mark          text COLLATE "C" NOT NULL,
    tenant        bytea NOT NULL,
    step          text COLLATE "C" NOT NULL,
    class         text COLLATE "C" NOT NULL,
    reason        text COLLATE "C",
    vendor_status bigint,
    fields        text COLLATE "C" NOT NULL,
    everyone      bigint NOT NULL,
    case_id       bytea NOT NULL,
    opened_at     bigint NOT NULL,
    probe         bytea,
    probes        bigint NOT NULL DEFAULT 0,
    next_probe_at bigint,
    PRIMARY KEY (account, mark)
) WITH (fillfactor = 50);

RESET ROLE;
