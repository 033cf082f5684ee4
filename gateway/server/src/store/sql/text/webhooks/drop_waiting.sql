UPDATE webhook_messages SET leased = 0, status = 'given_up', next_at = NULL, last_said = ?2, fence = fence + 1
WHERE endpoint = ?1 AND next_at IS NOT NULL
