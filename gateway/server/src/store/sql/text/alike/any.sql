SELECT EXISTS (SELECT 1 FROM alike WHERE account = ?1) OR EXISTS (SELECT 1 FROM alike_groups WHERE account = ?1)
