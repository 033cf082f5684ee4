SELECT tenant, overlay_version, (SELECT max(version) FROM overlays WHERE account = ?1) AS newest FROM accounts WHERE id = ?1
