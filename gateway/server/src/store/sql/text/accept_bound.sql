SELECT fingerprint, receipt FROM submissions WHERE tenant = ?1 AND key_hash = ?2 AND kind = 'accepted'
