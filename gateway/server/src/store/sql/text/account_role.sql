SELECT role FROM accounts WHERE id = ?1
