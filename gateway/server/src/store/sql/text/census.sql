SELECT state, count(*) AS deliveries FROM deliveries GROUP BY state
