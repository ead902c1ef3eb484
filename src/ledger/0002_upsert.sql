-- Guarded writes that are in flight. Whose they are does not matter to the next run: until Marketo's time limit for the
-- last of them is over, it looks nothing up, since what it finds might still change.

CREATE TABLE upsert_call (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    sent_at TEXT NOT NULL -- it left then or later
) STRICT;

-- A call that cannot write any more: answered, or its time limit is over. One without a row here may be in flight.
CREATE TABLE upsert_end (
    call     INTEGER PRIMARY KEY REFERENCES upsert_call (id),
    ended_at TEXT NOT NULL
) STRICT;

CREATE TRIGGER upsert_call_stays BEFORE UPDATE ON upsert_call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER upsert_call_kept BEFORE DELETE ON upsert_call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER upsert_end_stays BEFORE UPDATE ON upsert_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER upsert_end_kept BEFORE DELETE ON upsert_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
