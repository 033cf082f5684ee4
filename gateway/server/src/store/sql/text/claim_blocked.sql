SELECT 1
FROM deliveries d
JOIN deliveries o
    ON o.account = d.account AND o.serial = d.serial AND o.state IN ('in_flight', 'verifying') AND o.seq <> d.seq
WHERE d.seq = ?1
LIMIT 1
