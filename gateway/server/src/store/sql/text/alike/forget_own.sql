-- A success says that what was refused lay in the applications: of the same job, or, for want of a permission, anywhere.
DELETE FROM alike
WHERE account = ?1 AND step = ?3 AND last_at <= ?5
    AND (delivery = ?2 OR class = 'unauthorised' OR (class = 'refused' AND posting_id = ?4))
    AND NOT EXISTS (SELECT 1 FROM alike_groups g WHERE g.account = alike.account AND g.mark = alike.mark)
