SELECT origins FROM api_keys WHERE origins IS NOT NULL AND revoked_at IS NULL AND suspended = 0
