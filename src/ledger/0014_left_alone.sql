-- Groups that a run left alone, written as the run decides it. Of a group with several rows in a run the last one counts.
CREATE TABLE left_alone (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    run    INTEGER NOT NULL REFERENCES run (id),
    key    TEXT NOT NULL,
    winner INTEGER,       -- the plan's; null where the run was not to merge it
    leads  TEXT NOT NULL, -- JSON: ids
    reason TEXT,          -- in words, as printed; null where it was erased
    at     TEXT NOT NULL
) STRICT;
CREATE INDEX left_alone_of ON left_alone (run, key);

-- Of runs up to this one nobody knows which groups they left alone.
CREATE TABLE left_alone_since (
    run INTEGER NOT NULL
) STRICT;
INSERT INTO left_alone_since (run) SELECT coalesce(max(id), 0) FROM run;

CREATE TRIGGER left_alone_stays BEFORE UPDATE ON left_alone BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER left_alone_kept BEFORE DELETE ON left_alone BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER left_alone_since_stays BEFORE UPDATE ON left_alone_since BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER left_alone_since_kept BEFORE DELETE ON left_alone_since BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
