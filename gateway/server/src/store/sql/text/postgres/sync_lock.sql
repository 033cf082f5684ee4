-- Until the commit: two syncs of one account follow each other. Not its row, which whoever claims for it locks. A statement
-- of its own, so that the next one sees what the other wrote.
SELECT 1
FROM (SELECT pg_advisory_xact_lock(hashtextextended('sync of ' || encode(?1, 'hex'), 0))) AS held
