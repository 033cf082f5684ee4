-- Whoever sent these is gone: whether they arrived is not known, so they are sent again.
UPDATE webhook_messages INDEXED BY webhook_messages_leased SET leased = 0, next_at = ?1, fence = fence + 1 WHERE leased = 1
