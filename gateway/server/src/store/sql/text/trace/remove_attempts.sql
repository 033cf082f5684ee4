DELETE FROM attempts WHERE delivery = ?1
