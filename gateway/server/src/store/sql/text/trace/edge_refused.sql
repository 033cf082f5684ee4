SELECT code, CAST(sum(count) AS BIGINT) AS count FROM edge_counts WHERE tenant = ?1 AND minute > ?2 AND minute < ?3 GROUP BY code
