SELECT g.account, g.tenant, g.mark, g.case_id
FROM alike_groups g
JOIN accounts a ON a.id = g.account
WHERE g.next_probe_at <= ?1 AND a.paused_since IS NULL
