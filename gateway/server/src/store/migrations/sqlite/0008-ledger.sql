-- The ledger proof: how many deliveries each accepted submission was promised, beside the deliveries there are.
ALTER TABLE submissions ADD COLUMN targets INTEGER NOT NULL DEFAULT 0;

UPDATE submissions
SET targets = (SELECT count(*) FROM deliveries AS d WHERE d.submission = submissions.id)
WHERE kind = 'accepted';

CREATE INDEX submissions_targets ON submissions (targets) WHERE kind = 'accepted';
CREATE INDEX deliveries_settled ON deliveries (state)
    WHERE state IN ('delivered', 'refused', 'parked', 'cancelled', 'erased');
