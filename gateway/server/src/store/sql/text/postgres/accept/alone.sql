-- In one order, so that two batches never wait for each other's.
SELECT pg_advisory_xact_lock(key) FROM unnest(?1::bigint[]) AS keys (key)
