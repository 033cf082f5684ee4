INSERT INTO alike_allowed (/*postgres tenant,*/ delivery)
SELECT /*postgres d.tenant,*/ d.id FROM deliveries d
WHERE d.id = ?1 AND EXISTS (SELECT 1 FROM alike_groups g WHERE g.account = d.account)
ON CONFLICT (delivery) DO NOTHING
