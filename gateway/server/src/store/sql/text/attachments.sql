SELECT blob, meta_sealed FROM attachments WHERE submission = ?1 AND tenant = ?2 ORDER BY position
