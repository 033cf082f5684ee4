SELECT d.id, d.tenant, d.account, d.submission, d.held_cause, s.posting_id, s.test
FROM deliveries d
JOIN submissions s ON s.id = d.submission AND s.kind = 'accepted'
WHERE d.held_cause IN ('posting_unknown', 'form_unknown')
    AND CASE d.held_cause
        WHEN 'form_unknown' THEN EXISTS (
            SELECT 1
            FROM postings p
            JOIN accounts a ON a.id = p.account AND a.sandbox = s.test
            WHERE p.tenant = d.tenant AND p.posting_id = s.posting_id
                AND (p.form_digest IS NOT NULL OR p.closed_at IS NOT NULL)
        )
        ELSE EXISTS (
            SELECT 1
            FROM postings p
            JOIN accounts a ON a.id = p.account AND a.sandbox = s.test
            WHERE p.tenant = d.tenant AND p.posting_id = s.posting_id
        )
            OR (
                -- Absent: every ATS account has completed a sync that began after the application came.
                SELECT count(*) > 0 AND min(coalesce(a.last_complete_sync, 0)) > s.received_at
                FROM accounts a
                WHERE a.tenant = d.tenant AND a.role = 'ats' AND a.sandbox = s.test
            )
    END
ORDER BY d.seq
LIMIT ?1
