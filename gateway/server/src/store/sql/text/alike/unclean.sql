UPDATE alike SET clean = 0
WHERE account = ?1 AND step = ?2 AND clean = 1 AND last_at <= ?3 AND class NOT IN ('refused', 'unauthorised')
