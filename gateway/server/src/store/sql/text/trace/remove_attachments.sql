DELETE FROM attachments WHERE submission = ?1
