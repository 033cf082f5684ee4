SELECT 1 FROM alike_groups LIMIT 1
