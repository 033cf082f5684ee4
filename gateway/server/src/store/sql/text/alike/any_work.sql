SELECT 1 FROM alike_groups
UNION ALL
SELECT 1 FROM alike WHERE last_at <= ?1
LIMIT 1
