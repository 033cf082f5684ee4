UPDATE alike_groups SET everyone = 1 WHERE account = ?1 AND mark = ?2
