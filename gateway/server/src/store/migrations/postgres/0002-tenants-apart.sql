-- Row-level security: the second wall between tenants. The first is that every statement asks for its tenant.
--
-- A transaction says whose rows it is about: set_config('causeway.tenants', '{"\\x<hex id>","\\x<hex id>"}', true). Where it
-- said nothing there are no rows, and none can be written. '*' stands for every tenant that is listed, for what is about all
-- of them by its nature; the program says so in one place per verb. Everybody but superusers is held to it, the owner too.

SET LOCAL ROLE causeway_owner;

CREATE FUNCTION causeway_every_tenant() RETURNS bytea[]
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(array_agg(id), '{}') FROM tenants;
END;

-- Asked once per statement: policies wrap it in a sub-select. What is no array of ids is an error. The bodies of these are
-- bound to what they name when they are made, whatever is found first later on.
CREATE FUNCTION causeway_tenants() RETURNS bytea[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE current_setting('causeway.tenants', true)
    WHEN '*' THEN causeway_every_tenant()
    ELSE coalesce(nullif(current_setting('causeway.tenants', true), ''), '{}')::bytea[]
END;

GRANT EXECUTE ON FUNCTION causeway_every_tenant(), causeway_tenants() TO causeway_gateway, causeway_leases;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'wrapped_keys', 'accounts', 'api_keys', 'postings', 'posting_ids', 'forms', 'syncs', 'overlays', 'checklist',
        'submissions', 'attachments', 'deliveries', 'steps', 'attempts', 'vendor_links', 'cases', 'audit', 'audit_heads',
        'audit_floors', 'tombstones', 'erasure_log', 'vendor_copies', 'webhook_endpoints', 'webhook_messages', 'alike',
        'alike_allowed', 'alike_groups'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY of_tenants ON %I USING (tenant = ANY ((SELECT causeway_tenants())::bytea[]))', name);
    END LOOP;
END
$$;

-- What was refused before it was known whose it is belongs to nobody, and is a number.
ALTER TABLE edge_counts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenants ON edge_counts
    USING (tenant = '\x'::bytea OR tenant = ANY ((SELECT causeway_tenants())::bytea[]));

-- Who there is, is known to every process: it says '*' to mean them.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY listed ON tenants FOR SELECT USING (true);
CREATE POLICY made ON tenants FOR INSERT WITH CHECK (id = ANY ((SELECT causeway_tenants())::bytea[]));

-- What the gateway may do at all. Partitions are reached through their tables only: nobody has rights on them.
GRANT SELECT, INSERT, UPDATE, DELETE ON
    wrapped_keys, posting_ids, submissions, attachments, deliveries, attempts, cases, edge_counts, webhook_messages, alike,
    alike_groups
TO causeway_gateway;
GRANT SELECT, INSERT, UPDATE ON
    meta, accounts, api_keys, postings, checklist, audit_heads, audit_floors, tombstones, vendor_copies, job_leases,
    webhook_endpoints
TO causeway_gateway;
GRANT SELECT, INSERT, DELETE ON steps, vendor_links, alike_allowed TO causeway_gateway;
-- What was written stays as it was written.
GRANT SELECT, INSERT ON tenants, forms, syncs, overlays, audit, erasure_log, receipt_keys TO causeway_gateway;
GRANT USAGE ON SEQUENCE submissions_seq, attempts_seq, webhook_messages_seq TO causeway_gateway;

-- Who has due work, whose lease is over and whose an account is: asked over all tenants, by a role that reads what a lease
-- is made of and nothing that an applicant sent, and writes nothing. The lease itself is taken among one tenant's rows.
GRANT SELECT (id, tenant, paused_since) ON accounts TO causeway_leases;
GRANT SELECT (seq, account, serial, state, lane, next_attempt_at, lease_until, read_back_at) ON deliveries
TO causeway_leases;
GRANT SELECT (id, removed_at, disabled_at) ON webhook_endpoints TO causeway_leases;
GRANT SELECT (endpoint, next_at) ON webhook_messages TO causeway_leases;

CREATE POLICY leases_seen ON accounts FOR SELECT TO causeway_leases USING (true);
CREATE POLICY leases_seen ON deliveries FOR SELECT TO causeway_leases USING (true);
CREATE POLICY leases_seen ON webhook_endpoints FOR SELECT TO causeway_leases USING (true);
CREATE POLICY leases_seen ON webhook_messages FOR SELECT TO causeway_leases USING (true);

-- The audit is written and read. Retention alone removes rows of it: the oldest of a chain, up to the floor that was
-- signed before, and never the newest.
CREATE FUNCTION causeway_remove_audit(whose bytea, up_to bigint) RETURNS SETOF bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    DELETE FROM audit
    WHERE tenant = whose AND position <= up_to
        AND position <= (SELECT f.position FROM audit_floors AS f WHERE f.tenant = whose)
        AND position < (SELECT h.position FROM audit_heads AS h WHERE h.tenant = whose)
    RETURNING position
$$;

GRANT EXECUTE ON FUNCTION causeway_remove_audit(bytea, bigint) TO causeway_gateway;

-- A new id that was made then, as the gateway makes them.
CREATE FUNCTION causeway_id_at(micros bigint) RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL SAFE
BEGIN ATOMIC
    SELECT set_byte(made, 6, (get_byte(made, 6) & 15) | 112)
    FROM (
        SELECT overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(micros / 1000) FROM 3) FROM 1 FOR 6) AS made
    ) AS one;
END;

GRANT EXECUTE ON FUNCTION causeway_id_at(bigint) TO causeway_gateway;

RESET ROLE;
