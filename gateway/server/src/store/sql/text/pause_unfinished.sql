-- Accounts of whose deliveries some are not where a pause, or its end, puts them. An index probe for each account: asked with
-- EXISTS, PostgreSQL may read the whole backlog instead.
SELECT a.id
FROM accounts a
WHERE a.paused_since IS NOT NULL AND (
        SELECT d.seq
        FROM deliveries d
        WHERE d.account = a.id AND d.next_attempt_at IS NOT NULL AND d.state IN ('queued', 'waiting')
        LIMIT 1
    ) IS NOT NULL
    OR a.paused_since IS NULL AND (
        SELECT d.seq FROM deliveries d WHERE d.account = a.id AND d.held_cause = 'account_paused' LIMIT 1
    ) IS NOT NULL
