DELETE FROM alike_allowed WHERE delivery = ?1
