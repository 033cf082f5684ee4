DELETE FROM alike WHERE account = ?1 AND mark = ?2
