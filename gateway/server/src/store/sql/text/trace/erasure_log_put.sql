INSERT INTO erasure_log (tenant, email_exact, erased_at, actor, reached) VALUES (?1, ?2, ?3, ?4, ?5)
