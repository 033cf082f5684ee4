-- Until the commit: what two requests of one person for one posting are to each other shows only when one has seen the
-- other. A statement of its own, so that the next one does.
SELECT 1
FROM (SELECT pg_advisory_xact_lock(hashtextextended(encode(?1, 'hex'), 0))) AS held
