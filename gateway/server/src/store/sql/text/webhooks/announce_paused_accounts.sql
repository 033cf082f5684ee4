-- As announce_delivery, for what hold_of_paused_accounts is about to hold: it chooses the same rows.
INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, submission, delivery, account, posting_id, code,
    state, reason, status, next_at)
SELECT randomblob(16), d.tenant, e.id, 'application.held', ?1, e.test, s.id, d.id, a.name, s.posting_id, s.code, 'held',
    a.paused_reason, 'waiting', ?1
FROM deliveries AS d
CROSS JOIN webhook_endpoints AS e ON e.tenant = d.tenant AND e.removed_at IS NULL
CROSS JOIN submissions AS s ON s.id = d.submission AND s.kind = 'accepted' AND s.test = e.test
CROSS JOIN accounts AS a ON a.id = d.account
WHERE d.account IN (SELECT id FROM accounts WHERE paused_since IS NOT NULL) AND d.next_attempt_at IS NOT NULL
    AND d.state IN ('queued', 'waiting')
    AND (e.events = '[]' OR EXISTS (SELECT 1 FROM json_each(e.events) WHERE value = 'application.held'))
