INSERT OR IGNORE INTO alike_allowed (delivery)
SELECT d.id FROM deliveries d
WHERE d.id = ?1 AND EXISTS (SELECT 1 FROM alike_groups g WHERE g.account = d.account)
