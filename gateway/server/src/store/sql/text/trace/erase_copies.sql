-- Every vendor that has a copy or, where an attempt was never answered or a restore left it unknown, may have one.
SELECT d.id, a.name, a.connector, coalesce(d.vendor_id, l.vendor_id) AS vendor_id,
    coalesce(d.said_yes_at, d.sent_at) AS since
FROM deliveries AS d INDEXED BY deliveries_of_submission
JOIN accounts AS a ON a.id = d.account
LEFT JOIN vendor_links AS l INDEXED BY vendor_links_of_delivery ON l.delivery = d.id
WHERE d.submission = ?1
  AND (d.state = 'delivered' OR d.vendor_id IS NOT NULL OR d.verifying_step IS NOT NULL OR l.vendor_id IS NOT NULL OR EXISTS (
    SELECT 1 FROM attempts AS t INDEXED BY attempts_of_delivery
    WHERE t.delivery = d.id AND t.is_lookup = 0
      AND (t.ended_at IS NULL OR t.class IN ('accepted', 'already_there', 'unknown'))))
ORDER BY a.name, d.seq
