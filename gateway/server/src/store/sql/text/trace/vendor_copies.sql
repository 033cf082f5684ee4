SELECT v.delivery, a.name, a.connector, v.vendor_id, v.since, v.erased_at, v.state, v.changed_at, v.changed_by
FROM vendor_copies AS v INDEXED BY vendor_copies_of_tenant
JOIN accounts AS a ON a.id = v.account
WHERE v.tenant = ?1
ORDER BY v.erased_at DESC, v.delivery
