UPDATE accounts SET overlay_version = ?2 WHERE id = ?1
