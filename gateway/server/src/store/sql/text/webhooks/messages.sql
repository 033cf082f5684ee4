SELECT *
FROM webhook_messages INDEXED BY webhook_messages_of_tenant
WHERE tenant = ?1 AND seq < ?2 AND test = coalesce(?3, test) AND endpoint = coalesce(?4, endpoint)
    AND status = coalesce(?5, status)
ORDER BY seq DESC
LIMIT ?6
