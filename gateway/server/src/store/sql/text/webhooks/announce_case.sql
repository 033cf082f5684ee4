-- As announce_delivery, for what was just held together in the case ?1, which is new.
INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, submission, delivery, account, posting_id, code,
    state, reason, status, next_at)
SELECT randomblob(16), d.tenant, e.id, 'application.' || d.state, d.changed_at, e.test, s.id, d.id, a.name, s.posting_id,
    s.code, d.state, d.reason, 'waiting', d.changed_at
FROM deliveries AS d
CROSS JOIN webhook_endpoints AS e ON e.tenant = d.tenant AND e.removed_at IS NULL
CROSS JOIN submissions AS s ON s.id = d.submission AND s.kind = 'accepted' AND s.test = e.test
CROSS JOIN accounts AS a ON a.id = d.account
WHERE d.case_id = ?1
    AND (e.events = '[]' OR EXISTS (SELECT 1 FROM json_each(e.events) WHERE value = 'application.' || d.state))
