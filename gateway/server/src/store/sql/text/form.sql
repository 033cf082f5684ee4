SELECT document FROM forms WHERE account = ?1 AND posting_id = ?2 AND digest = ?3
