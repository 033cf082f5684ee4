SELECT id, public, since FROM receipt_keys ORDER BY since, id
