-- How the runs of a plan ended, group by group. A run without a row here was killed: the journal of its calls tells how
-- far it came.
CREATE TABLE run_end (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    plan     TEXT NOT NULL REFERENCES plan (id),
    at       TEXT NOT NULL,
    complete INTEGER NOT NULL -- whether the run came to every group of the plan
) STRICT;
CREATE INDEX run_end_of ON run_end (plan);

CREATE TABLE run_group (
    run     INTEGER NOT NULL REFERENCES run_end (seq),
    winner  INTEGER NOT NULL, -- the plan's
    outcome TEXT NOT NULL,
    reason  TEXT,
    PRIMARY KEY (run, winner)
) STRICT;

CREATE INDEX call_of_plan ON call (plan);

CREATE TRIGGER run_end_stays BEFORE UPDATE ON run_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER run_end_kept BEFORE DELETE ON run_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER run_group_stays BEFORE UPDATE ON run_group BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER run_group_kept BEFORE DELETE ON run_group BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
