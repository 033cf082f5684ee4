-- Accounts are few: one index probe each.
SELECT a.id
FROM accounts a
WHERE a.paused_since IS NULL
    AND EXISTS (SELECT 1 FROM deliveries d WHERE d.account = a.id AND d.read_back_at <= ?1)
