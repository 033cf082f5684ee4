-- The index of the keys that retention forgets says a condition that only retention says, as those for lookups do. Without it
-- a plan for accepts, made before anybody sent a key, could walk this index, empty then, instead of looking a key up, and was
-- kept while keys came.

SET LOCAL ROLE causeway_owner;

DROP INDEX submissions_keyed;
CREATE INDEX submissions_keyed ON submissions_accepted (received_at) WHERE key_hash IS NOT NULL AND normaliser >= 0;
