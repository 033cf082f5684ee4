SELECT delivery FROM vendor_links WHERE account = ?1 AND vendor_id = ?2
