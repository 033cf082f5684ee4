-- The copy, and others of the same vendor record.
UPDATE vendor_copies SET state = ?3, changed_at = ?4, changed_by = ?5
WHERE delivery IN (
  SELECT v.delivery FROM vendor_copies AS v INDEXED BY vendor_copies_of_tenant
  JOIN vendor_copies AS named ON named.delivery = ?2 AND named.tenant = ?1
  WHERE v.tenant = ?1 AND (v.delivery = ?2 OR (v.account = named.account AND v.vendor_id = named.vendor_id)))
