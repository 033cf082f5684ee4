SELECT demographics_sealed IS NOT NULL FROM submissions WHERE id = ?1
