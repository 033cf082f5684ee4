DELETE FROM vendor_links WHERE delivery = ?1
