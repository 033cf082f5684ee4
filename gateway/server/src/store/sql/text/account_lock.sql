-- One at a time counts, holds and lets go what fails alike at an account.
SELECT 1 FROM accounts WHERE id = ?1
/*postgres FOR NO KEY UPDATE*/
