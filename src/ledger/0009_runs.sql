-- Runs: what was begun, when and by whom. A run that was killed has its beginning here and no end.
CREATE TABLE run (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL CHECK (kind IN ('merge', 'restore')),
    plan       TEXT,             -- the plan that a merge carries out
    digest     TEXT,             -- what was approved
    by         TEXT,             -- null: not known
    begun_at   TEXT NOT NULL,
    -- The last call and the last end before it. One process alone has the ledger open, so that what comes after them, up
    -- to the beginning of the next run, is of this run.
    after_call INTEGER NOT NULL,
    after_end  INTEGER NOT NULL
) STRICT;

-- Runs of the versions before this table: each end stands for one run, which began with the first call of its plan after
-- the end before.
INSERT INTO run (kind, plan, begun_at, after_call, after_end)
SELECT 'merge', ended.plan,
    coalesce((
        SELECT min(journal.at) FROM journal JOIN call ON call.id = journal.call
        WHERE journal.event = 'planned' AND call.plan = ended.plan AND journal.at <= ended.at
            AND journal.at > coalesce(ended.last_at, '')
    ), ended.at),
    coalesce((
        SELECT max(journal.call) FROM journal WHERE journal.event = 'planned' AND journal.at <= ended.last_at
    ), 0),
    ended.seq - 1
FROM (SELECT seq, plan, at, lag(at) OVER (ORDER BY seq) AS last_at FROM run_end) AS ended
ORDER BY ended.seq;

-- And one that was killed after all of them.
INSERT INTO run (kind, plan, begun_at, after_call, after_end)
SELECT 'merge', call.plan, journal.at, call.id - 1, (SELECT coalesce(max(seq), 0) FROM run_end)
FROM call JOIN journal ON journal.call = call.id AND journal.event = 'planned'
WHERE journal.at > coalesce((SELECT max(at) FROM run_end), '')
ORDER BY call.id LIMIT 1;

-- How a run ended that makes lost leads anew. The end of a merge is in run_end.
CREATE TABLE restore_end (
    run      INTEGER PRIMARY KEY REFERENCES run (id),
    at       TEXT NOT NULL,
    complete INTEGER NOT NULL, -- whether it came to every lead that it was asked for
    restored INTEGER NOT NULL,
    skipped  INTEGER NOT NULL,
    failed   INTEGER NOT NULL
) STRICT;

-- A lost lead that is about to be made anew: written before the call leaves. Without an end below the call may have been
-- done, and nothing is made anew before a look has shown whether it was.
CREATE TABLE making (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      INTEGER NOT NULL REFERENCES run (id),
    lost     INTEGER NOT NULL,
    call     INTEGER NOT NULL REFERENCES call (id), -- the merge that took it
    field    TEXT NOT NULL, -- by which the new lead is looked for
    fields   TEXT NOT NULL, -- JSON: the names of the fields that were sent; the values are the backup's
    known    TEXT NOT NULL, -- JSON: the leads that had the same value of that field before
    at       TEXT NOT NULL
) STRICT;
CREATE INDEX making_of ON making (lost, call);
CREATE TABLE making_end (
    making INTEGER PRIMARY KEY REFERENCES making (id),
    new    INTEGER, -- null: it was not made
    how    TEXT NOT NULL,
    at     TEXT NOT NULL
) STRICT;

-- What a run came to with a lost lead.
CREATE TABLE restored (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    run      INTEGER NOT NULL REFERENCES run (id),
    lost     INTEGER NOT NULL,
    call     INTEGER NOT NULL REFERENCES call (id),
    new      INTEGER,
    complete INTEGER NOT NULL, -- whether all is back that can come back
    at       TEXT NOT NULL
) STRICT;
CREATE INDEX restored_of ON restored (lost, call);

-- The digest of a backup: what it holds can be compared with what it held. Backups of older versions have none.
CREATE TABLE backup_digest (
    backup INTEGER PRIMARY KEY REFERENCES backup (seq),
    sha256 TEXT NOT NULL
) STRICT;

-- Values of people that were erased by law or by age: who did it, and when.
CREATE TABLE erasure (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    by      TEXT,
    what    TEXT NOT NULL, -- 'person' or 'age'
    before  TEXT           -- of 'age': what was older than this
) STRICT;
CREATE TABLE erased (
    backup  INTEGER PRIMARY KEY REFERENCES backup (seq),
    erasure INTEGER NOT NULL REFERENCES erasure (id),
    sha256  TEXT NOT NULL -- of what the backup held
) STRICT;
CREATE TABLE erased_plan (
    plan    TEXT NOT NULL REFERENCES plan (id),
    erasure INTEGER NOT NULL REFERENCES erasure (id),
    sha256  TEXT NOT NULL, -- of the plan before
    PRIMARY KEY (plan, erasure)
) STRICT;

CREATE TRIGGER run_stays BEFORE UPDATE ON run BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER run_kept BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER restore_end_stays BEFORE UPDATE ON restore_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER restore_end_kept BEFORE DELETE ON restore_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER making_stays BEFORE UPDATE ON making BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER making_kept BEFORE DELETE ON making BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER making_end_stays BEFORE UPDATE ON making_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER making_end_kept BEFORE DELETE ON making_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER restored_stays BEFORE UPDATE ON restored BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER restored_kept BEFORE DELETE ON restored BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER backup_digest_stays BEFORE UPDATE ON backup_digest BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER backup_digest_kept BEFORE DELETE ON backup_digest BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erasure_stays BEFORE UPDATE ON erasure BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erasure_kept BEFORE DELETE ON erasure BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erased_stays BEFORE UPDATE ON erased BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erased_kept BEFORE DELETE ON erased BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erased_plan_stays BEFORE UPDATE ON erased_plan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER erased_plan_kept BEFORE DELETE ON erased_plan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
