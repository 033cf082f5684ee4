-- Renewing keeps the fence; taking over raises it.
INSERT INTO job_leases (job, owner, lease_until, fence) VALUES (?1, ?2, ?4, 1)
ON CONFLICT (job) DO UPDATE
SET fence = CASE
        WHEN job_leases.owner = excluded.owner AND job_leases.lease_until > ?3 THEN job_leases.fence
        ELSE job_leases.fence + 1
    END,
    owner = excluded.owner, lease_until = excluded.lease_until
WHERE job_leases.owner = excluded.owner OR job_leases.lease_until <= ?3
RETURNING fence
