-- Tables that are apart by time: this period's partition and the next two are there before they are needed, and one that is
-- over goes once retention has emptied it. Rows that fit nowhere are in <table>_rest, and move when their partition is made.

SET LOCAL ROLE causeway_owner;

-- Run by one gateway, now and then; returns how many were made and dropped. It waits a fifth of a second for a lock, since
-- whoever writes to the table queues behind it, and fails then: there is time to run again.
CREATE FUNCTION causeway_keep_partitions(now_micros bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    apart   record;
    child   record;
    step    interval;
    at      timestamp;
    first   timestamp;
    bounds  text[];
    made    text;
    emptied boolean;
    changed bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('causeway partitions'));
    FOR apart IN
        SELECT * FROM (VALUES
            ('submissions_refused', 'week', 'received_at', ''),
            ('attempts', 'month', 'id', 'fillfactor = 80'),
            ('webhook_messages', 'month', 'id',
                'fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000'),
            ('audit', 'month', 'at', '')
        ) AS list (parent, period, key, settings)
    LOOP
        step := ('1 ' || apart.period)::interval;
        first := date_trunc(apart.period, timestamp 'epoch' + now_micros * interval '1 microsecond');
        FOR ahead IN 0..2 LOOP
            at := first + ahead * step;
            made := apart.parent || to_char(at, '_YYYY_MM_DD');
            CONTINUE WHEN to_regclass('public.' || made) IS NOT NULL;
            -- From 1970 in microseconds or, where ids are apart, the first bytes of the ids of that millisecond.
            SELECT array_agg(CASE WHEN apart.key = 'id'
                THEN quote_literal('\x' || lpad(to_hex(edge / 1000), 12, '0')) || '::bytea'
                ELSE edge::text END)
            INTO bounds
            FROM (VALUES
                ((extract(epoch FROM at) * 1000000)::bigint), ((extract(epoch FROM at + step) * 1000000)::bigint)
            ) AS edges (edge);
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE)', made, apart.parent);
            IF apart.settings <> '' THEN
                EXECUTE format('ALTER TABLE %I SET (%s)', made, apart.settings);
            END IF;
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', apart.parent || '_rest');
            EXECUTE format(
                'WITH late AS (DELETE FROM %I WHERE %I >= %s AND %I < %s RETURNING *) INSERT INTO %I SELECT * FROM late',
                apart.parent || '_rest', apart.key, bounds[1], apart.key, bounds[2], made);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                apart.parent, made, bounds[1], bounds[2]);
            changed := changed + 1;
        END LOOP;
        FOR child IN
            SELECT c.oid, c.relname
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = ('public.' || apart.parent)::regclass AND c.relname ~ '_\d{4}_\d\d_\d\d$'
        LOOP
            CONTINUE WHEN to_date(right(child.relname, 10), 'YYYY_MM_DD')::timestamp + step > first - step;
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', child.relname) INTO emptied;
            CONTINUE WHEN NOT emptied;
            -- Nothing is written to it any more, unless a clock is far behind.
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', apart.parent);
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', child.relname) INTO emptied;
            IF emptied THEN
                EXECUTE format('DROP TABLE %I', child.relname);
                changed := changed + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN changed;
END
$$;

GRANT EXECUTE ON FUNCTION causeway_keep_partitions(bigint) TO causeway_gateway;

SELECT causeway_keep_partitions((extract(epoch FROM now()) * 1000000)::bigint);

RESET ROLE;
