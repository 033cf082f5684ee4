SELECT began_at FROM attempts WHERE id = ?1
