-- Guarded writes are kept apart by leases, key by key, and are written down here no longer.
--
-- A call that an older version left open may still be writing, without a lease that this version would see. Nobody else
-- has the ledger while this is carried out, so that such a call left before now, whatever the older version wrote of it.
CREATE TABLE left_before (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at   TEXT NOT NULL
) STRICT;

INSERT INTO left_before (only, at)
SELECT 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE EXISTS (SELECT 1 FROM upsert_call WHERE id NOT IN (SELECT call FROM upsert_end));

DROP TABLE upsert_end;
DROP TABLE upsert_call;

CREATE TRIGGER left_before_stays BEFORE UPDATE ON left_before BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER left_before_kept BEFORE DELETE ON left_before BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
