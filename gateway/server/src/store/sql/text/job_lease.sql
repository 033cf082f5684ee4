-- Renewing keeps the fence; taking over raises it.
INSERT INTO job_leases (job, owner, lease_until, fence) VALUES (?1, ?2, ?4, 1)
ON CONFLICT (job) DO UPDATE
SET fence = CASE WHEN owner = excluded.owner AND lease_until > ?3 THEN fence ELSE fence + 1 END,
    owner = excluded.owner, lease_until = excluded.lease_until
WHERE owner = excluded.owner OR lease_until <= ?3
RETURNING fence
