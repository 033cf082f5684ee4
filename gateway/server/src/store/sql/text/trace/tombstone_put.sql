INSERT INTO tombstones (tenant, email_exact, normaliser, erased_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, email_exact) DO UPDATE SET
    erased_at = CASE
        WHEN tombstones.erased_at > excluded.erased_at THEN tombstones.erased_at
        ELSE excluded.erased_at
    END
