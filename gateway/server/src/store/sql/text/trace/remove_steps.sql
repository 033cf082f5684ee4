DELETE FROM steps WHERE delivery = ?1
