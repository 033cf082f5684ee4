UPDATE webhook_messages SET leased = 0, status = 'waiting', next_at = ?2, attempts = 0, fence = fence + 1
WHERE id = ?1 AND type <> 'webhook.test'
