-- Tells each endpoint that wants it where each of the deliveries ?1 stands now. A trigger could do it unasked; but it would not
-- survive a rebuilt table, and nobody reading a verb would see it.
INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, submission, delivery, account, posting_id, code,
    state, reason, status, next_at)
SELECT causeway_id_at(d.changed_at), d.tenant, e.id, 'application.' || d.state, d.changed_at, e.test, s.id, d.id, a.name, s.posting_id,
    s.code, d.state, d.reason, 'waiting', d.changed_at
FROM deliveries AS d
JOIN webhook_endpoints AS e ON e.tenant = d.tenant AND e.removed_at IS NULL
JOIN submissions AS s ON s.id = d.submission AND s.kind = 'accepted' AND s.test = e.test
JOIN accounts AS a ON a.id = d.account
WHERE d.id = ANY (?1::bytea[])
    AND (e.events = '[]' OR jsonb_exists(e.events::jsonb, 'application.' || d.state))
