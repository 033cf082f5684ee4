SELECT count(*) FROM attachments INDEXED BY attachments_of_submission WHERE submission = ?1
