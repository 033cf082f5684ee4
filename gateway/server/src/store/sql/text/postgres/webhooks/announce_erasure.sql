-- Tells each endpoint that wants it that the application ?1 is about to be erased: an erasure finds it once.
INSERT INTO webhook_messages (id, tenant, endpoint, type, at, test, submission, posting_id, code, state, reason, status,
    next_at)
SELECT causeway_id_at(?2), s.tenant, e.id, 'application.erased', ?2, e.test, s.id, s.posting_id, s.code, 'erased', 'erased',
    'waiting', ?2
FROM submissions AS s
JOIN webhook_endpoints AS e ON e.tenant = s.tenant AND e.test = s.test AND e.removed_at IS NULL
WHERE s.id = ?1 AND s.kind = 'accepted'
    AND (e.events = '[]' OR jsonb_exists(e.events::jsonb, 'application.erased'))
