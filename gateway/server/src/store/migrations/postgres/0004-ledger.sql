-- The ledger proof: how many deliveries each accepted submission was promised, beside the deliveries there are. A program that
-- does not write it down would look like one that loses deliveries.

SET LOCAL ROLE causeway_owner;

ALTER TABLE submissions ADD COLUMN targets bigint NOT NULL DEFAULT 0;

-- The owner, too, has to say whose rows are meant.
SELECT set_config('causeway.tenants', '*', true);

UPDATE submissions AS s
SET targets = (SELECT count(*) FROM deliveries AS d WHERE d.submission = s.id)
WHERE s.kind = 'accepted';

CREATE INDEX submissions_targets ON submissions_accepted (targets);
CREATE INDEX deliveries_settled ON deliveries (state)
    WHERE state IN ('delivered', 'refused', 'parked', 'cancelled', 'erased');

RESET ROLE;
