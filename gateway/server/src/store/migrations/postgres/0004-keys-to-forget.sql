-- The index of the keys that retention forgets says a condition that only retention says, as those for lookups do. Without it
-- a plan for accepts, made before anybody sent a key, could walk this index, empty then, instead of looking a key up, and was
-- kept while keys came.
--
-- Applications wait to be written while it is built: seconds for a million. The former goes last, since what drops it keeps
-- readers out, too.

SET LOCAL ROLE causeway_owner;

CREATE INDEX submissions_keyed_now ON submissions_accepted (received_at) WHERE key_hash IS NOT NULL AND normaliser >= 0;
DROP INDEX submissions_keyed;
ALTER INDEX submissions_keyed_now RENAME TO submissions_keyed;
