SELECT tenant, credentials_sealed, credentials_next_sealed, credentials_about FROM accounts WHERE id = ?1
