UPDATE submissions SET posting_account = ?2 WHERE id = ?1 AND kind = 'accepted' AND posting_account IS NULL
