DELETE FROM wrapped_keys WHERE owner = ?1 AND kind = 'demographics'
