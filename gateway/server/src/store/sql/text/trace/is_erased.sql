SELECT erased_at IS NOT NULL FROM submissions WHERE id = ?1 AND kind = 'accepted'
