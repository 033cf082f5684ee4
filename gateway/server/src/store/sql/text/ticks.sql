SELECT item, done, note, at, actor FROM checklist WHERE account = ?1 ORDER BY item
