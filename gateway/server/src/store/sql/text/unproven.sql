-- Steps may have gone well over days: the record is as old as the first of them.
SELECT d.id, d.submission, d.account, d.sent_at, d.said_yes_at, d.changed_at, d.vendor_id, d.read_back_asked,
    d.read_back_missed, d.read_back_at, (
        SELECT min(t.began_at)
        FROM attempts t
        WHERE t.delivery = d.id AND t.is_lookup = 0 AND t.class IN ('accepted', 'already_there')
    ) AS first_sent_at
FROM deliveries d
WHERE d.account = ?1 AND d.read_back_at <= ?2 AND d.read_back_at >= ?4
ORDER BY d.read_back_at
LIMIT ?3
