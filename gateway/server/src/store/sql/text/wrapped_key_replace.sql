UPDATE wrapped_keys SET wrapped = ?3 WHERE owner = ?1 AND kind = ?2
