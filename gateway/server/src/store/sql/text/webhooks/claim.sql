UPDATE webhook_messages SET next_at = ?2, leased = 1, fence = fence + 1, attempts = attempts + 1, last_at = ?3 WHERE seq = ?1
