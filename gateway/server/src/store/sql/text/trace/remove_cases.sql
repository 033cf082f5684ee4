DELETE FROM cases WHERE delivery = ?1
