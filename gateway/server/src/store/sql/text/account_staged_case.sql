UPDATE accounts SET staged_case = ?2 WHERE id = ?1
