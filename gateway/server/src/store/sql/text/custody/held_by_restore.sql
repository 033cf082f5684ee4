SELECT count(*) FROM deliveries AS d JOIN accounts AS a ON a.id = d.account
WHERE a.paused_reason = ?1 AND d.state IN ('queued', 'in_flight', 'verifying', 'waiting', 'held')
