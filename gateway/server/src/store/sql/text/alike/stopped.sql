SELECT g.step, g.case_id, g.mark
FROM alike_groups g
WHERE g.account = ?1 AND g.probe IS DISTINCT FROM ?2
    AND NOT EXISTS (SELECT 1 FROM alike_allowed o WHERE o.delivery = ?2)
    AND (
        EXISTS (
            SELECT 1 FROM alike a
            WHERE a.account = g.account AND a.mark = g.mark AND a.delivery = ?2 AND (g.everyone = 1 OR a.times >= 3)
        )
        OR g.everyone = 1 AND EXISTS (
            SELECT 1 FROM alike a
            WHERE a.account = g.account AND a.mark = g.mark AND a.clean = 1
                AND (g.class <> 'refused' OR a.posting_id = ?3)
        )
    )
ORDER BY g.opened_at
