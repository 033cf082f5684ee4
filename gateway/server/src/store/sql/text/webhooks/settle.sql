UPDATE webhook_messages SET leased = 0, status = ?3, next_at = ?4, last_said = ?5 WHERE id = ?1 AND fence = ?2
