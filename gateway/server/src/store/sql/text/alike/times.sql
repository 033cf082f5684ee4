SELECT times FROM alike WHERE account = ?1 AND mark = ?2 AND delivery = ?3
