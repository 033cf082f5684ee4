-- Whether a success of the delivery would change what is known of those that fail alike: a group may end, what counts as
-- refused is forgotten, and what failed otherwise no longer counts as all there is.
SELECT EXISTS (SELECT 1 FROM alike_groups WHERE account = ?1)
    OR EXISTS (SELECT 1 FROM alike_allowed WHERE delivery = ?2)
    OR EXISTS (
        SELECT 1 FROM alike a
        WHERE a.account = ?1 AND (
            a.delivery = ?2
            OR a.class = 'unauthorised'
            OR a.class = 'refused' AND a.posting_id = (
                SELECT s.posting_id FROM deliveries d JOIN submissions s ON s.id = d.submission AND s.kind = 'accepted'
                WHERE d.id = ?2
            )
            OR a.class <> 'refused' AND a.clean = 1
        )
    )
