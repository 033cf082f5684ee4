-- The ledger proof: how many deliveries each accepted submission was promised, beside the deliveries there are. A program that
-- does not write it down would look like one that loses deliveries.

SET LOCAL ROLE causeway_owner;

ALTER TABLE submissions ADD COLUMN targets bigint NOT NULL DEFAULT 0;

-- The owner, too, has to say whose rows are meant.
SELECT set_config('causeway.tenants', '*', true);

UPDATE submissions AS s
SET targets = (SELECT count(*) FROM deliveries AS d WHERE d.submission = s.id)
WHERE s.kind = 'accepted';

-- One more index would be one more write for each: the sum is read from the one by id.
DROP INDEX submissions_accepted_id;
CREATE UNIQUE INDEX submissions_accepted_id ON submissions_accepted (id) INCLUDE (targets);
CREATE INDEX deliveries_settled ON deliveries (state)
    WHERE state IN ('delivered', 'refused', 'parked', 'cancelled', 'erased');

RESET ROLE;
