UPDATE submissions SET demographics_sealed = NULL WHERE id = ?1
