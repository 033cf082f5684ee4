-- In one order, so that two batches never wait for each other's.
SELECT tenant, position, mac FROM audit_heads WHERE tenant = ANY (?1::bytea[]) ORDER BY tenant FOR UPDATE
