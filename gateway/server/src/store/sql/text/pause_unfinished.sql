-- Accounts of whose deliveries some are not where a pause, or its end, puts them.
SELECT a.id
FROM accounts a
WHERE a.paused_since IS NOT NULL AND EXISTS (
        SELECT 1 FROM deliveries d
        WHERE d.account = a.id AND d.next_attempt_at IS NOT NULL AND d.state IN ('queued', 'waiting')
    )
    OR a.paused_since IS NULL AND EXISTS (
        SELECT 1 FROM deliveries d WHERE d.account = a.id AND d.held_cause = 'account_paused'
    )
