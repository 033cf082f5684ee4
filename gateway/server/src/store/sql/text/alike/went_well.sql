-- The groups that a success of this delivery at this step ends: it was one of them, or would have been held with them.
SELECT g.mark, g.case_id
FROM alike_groups g
WHERE g.account = ?1 AND g.step = ?3 AND g.opened_at <= ?5
    AND (
        g.probe IS NOT DISTINCT FROM ?2
        OR EXISTS (SELECT 1 FROM alike a WHERE a.account = g.account AND a.mark = g.mark AND a.delivery = ?2)
        OR g.everyone = 1 AND EXISTS (
            SELECT 1 FROM alike a
            WHERE a.account = g.account AND a.mark = g.mark AND a.clean = 1
                AND (g.class <> 'refused' OR a.posting_id = ?4)
        )
    )
