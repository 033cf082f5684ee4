DELETE FROM edge_counts WHERE (tenant, minute, api_key, job, code) IN (
  SELECT tenant, minute, api_key, job, code FROM edge_counts INDEXED BY edge_counts_by_time WHERE minute < ?1 LIMIT ?2)
