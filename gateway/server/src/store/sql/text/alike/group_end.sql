DELETE FROM alike_groups WHERE account = ?1 AND mark = ?2
