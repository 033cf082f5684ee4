DELETE FROM alike
WHERE last_at <= ?1
    AND NOT EXISTS (SELECT 1 FROM alike_groups g WHERE g.account = alike.account AND g.mark = alike.mark)
