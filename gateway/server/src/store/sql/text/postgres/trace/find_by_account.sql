-- Newest delivery first. ?5 and ?6 bound the scan to about the window; the window itself is checked on the submission. One
-- probe for each delivery as it is read: whoever reads stops early.
SELECT s.seq, s.id, s.posting_id, s.posting_account, s.received_at, s.email_exact, s.email_base, s.number, s.kind, s.last_at
FROM deliveries AS d
CROSS JOIN LATERAL (
    SELECT one.*
    FROM submissions AS one
    WHERE one.id = d.submission AND one.kind = 'accepted' AND one.tenant = ?1 AND one.received_at >= ?2
        AND one.received_at < ?3
    OFFSET 0
) AS s
WHERE d.account = ?4 AND d.seq >= ?5 AND d.seq <= ?6
ORDER BY d.seq DESC
