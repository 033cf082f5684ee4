UPDATE webhook_messages SET leased = 0, status = 'waiting', next_at = ?4, attempts = 0, fence = fence + 1
WHERE endpoint = ?1 AND at >= ?2 AND at < ?3 AND type <> 'webhook.test'
