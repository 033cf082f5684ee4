SELECT blob
FROM attachments
