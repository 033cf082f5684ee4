UPDATE attempts SET words_sealed = NULL WHERE delivery = ?1 AND words_sealed IS NOT NULL
