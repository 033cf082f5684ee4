SELECT DISTINCT a.tenant
FROM deliveries AS d
JOIN accounts AS a ON a.id = d.account
WHERE d.lease_until <= ?1 AND d.lease_until >= ?2 AND d.state || '' = 'in_flight'
