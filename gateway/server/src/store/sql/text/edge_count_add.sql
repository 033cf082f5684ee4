INSERT INTO edge_counts (tenant, minute, api_key, job, code, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (tenant, minute, api_key, job, code) DO UPDATE SET count = edge_counts.count + excluded.count
