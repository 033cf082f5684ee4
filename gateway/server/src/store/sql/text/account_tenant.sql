SELECT tenant FROM accounts WHERE id = ?1
