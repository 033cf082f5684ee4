SELECT document_sealed, demographics_at, demographics_sealed FROM submissions WHERE id = ?1 AND tenant = ?2
