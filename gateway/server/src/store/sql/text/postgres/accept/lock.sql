-- As person_lock, for a batch: in one order, so that two batches never wait for each other's.
SELECT count(*)
FROM (
    SELECT pg_advisory_xact_lock(hashtextextended(encode(serial, 'hex'), 0))
    FROM (SELECT DISTINCT serial FROM unnest(?1::bytea[]) AS given (serial) ORDER BY serial) AS sorted
) AS held
