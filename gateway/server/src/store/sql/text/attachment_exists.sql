SELECT 1 FROM attachments WHERE blob = ?1
