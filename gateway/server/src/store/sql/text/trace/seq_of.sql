SELECT seq FROM submissions WHERE id = ?1
