SELECT *
FROM webhook_messages INDEXED BY webhook_messages_of_tenant
WHERE tenant = ?1 AND seq < ?2 AND (?3 IS NULL OR test = ?3) AND (?4 IS NULL OR endpoint = ?4)
    AND (?5 IS NULL OR status = ?5)
ORDER BY seq DESC
LIMIT ?6
