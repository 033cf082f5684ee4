SELECT a.id, a.tenant, a.name, a.connector, a.role, a.settings, a.allow_private, a.on_invalid, a.repeats, a.on_unknown,
    a.sandbox, a.created_at, a.paused_reason, a.paused_since, a.last_complete_sync, a.live_at, a.credentials_about,
    a.overlay_version, o.document AS overlay, o.fields AS overlay_fields
FROM accounts a
LEFT JOIN overlays o ON o.account = a.id AND o.version = a.overlay_version
WHERE a.tenant = coalesce(?1, a.tenant)
ORDER BY a.created_at, a.id
