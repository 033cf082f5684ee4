-- The same deliveries as erase_copies.
INSERT INTO vendor_copies (delivery, tenant, account, vendor_id, since, erased_at, state, changed_at, changed_by)
SELECT d.id, d.tenant, d.account,
    coalesce(d.vendor_id,
        (SELECT max(l.vendor_id) FROM vendor_links AS l INDEXED BY vendor_links_of_delivery WHERE l.delivery = d.id)),
    coalesce(d.said_yes_at, d.sent_at), ?2, ?3, ?2, ?4
FROM deliveries AS d INDEXED BY deliveries_of_submission
WHERE d.submission = ?1
  AND (d.state = 'delivered' OR d.vendor_id IS NOT NULL OR d.verifying_step IS NOT NULL
    OR EXISTS (SELECT 1 FROM vendor_links AS l INDEXED BY vendor_links_of_delivery WHERE l.delivery = d.id)
    OR EXISTS (
      SELECT 1 FROM attempts AS t INDEXED BY attempts_of_delivery
      WHERE t.delivery = d.id AND t.is_lookup = 0
        AND (t.ended_at IS NULL OR t.class IN ('accepted', 'already_there', 'unknown'))))
ON CONFLICT (delivery) DO NOTHING
