-- One statement, so that both sides are of one moment. A delivery is counted where whoever works for its state finds it:
-- by its timer, its lease, its cause, or among the settled. One that stands in none of these places would never be worked
-- for again; it is not counted, and shows as a difference.
SELECT found.state AS side, CAST(count(*) AS BIGINT) AS counted
FROM (
    SELECT state FROM deliveries WHERE next_attempt_at IS NOT NULL AND state IN ('queued', 'waiting', 'verifying')
    UNION ALL
    SELECT state FROM deliveries WHERE lease_until IS NOT NULL AND state = 'in_flight'
    UNION ALL
    SELECT state FROM deliveries WHERE held_cause IS NOT NULL AND state = 'held'
    UNION ALL
    SELECT state FROM deliveries WHERE state IN ('delivered', 'refused', 'parked', 'cancelled', 'erased')
) AS found
GROUP BY found.state
UNION ALL
SELECT 'targets' AS side, CAST(coalesce(sum(s.targets), 0) AS BIGINT) AS counted
FROM submissions AS s
WHERE s.kind = 'accepted'
