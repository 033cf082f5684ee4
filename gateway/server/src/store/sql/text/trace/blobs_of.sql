SELECT blob FROM attachments WHERE submission = ?1
