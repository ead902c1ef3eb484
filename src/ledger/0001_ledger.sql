-- What must never be lost: what was planned, what was asked of Marketo, what came of it, and the people as they were
-- before. Rows are only ever added; the triggers below hold this even against a hand-written statement.

CREATE TABLE meta (
    instance TEXT NOT NULL -- the base URL of the one instance that this ledger belongs to
) STRICT;

CREATE TABLE plan (
    id      TEXT PRIMARY KEY,
    made_at TEXT NOT NULL,
    body    TEXT NOT NULL -- JSON
) STRICT;

-- A lead as it was just before a merge. A lead that is merged into a winner which is merged later has several rows.
CREATE TABLE backup (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    plan     TEXT NOT NULL REFERENCES plan (id),
    key      TEXT NOT NULL,    -- the group's
    lead     INTEGER NOT NULL,
    role     TEXT NOT NULL CHECK (role IN ('winner', 'loser')),
    fields   TEXT NOT NULL,    -- JSON: every readable field that has a value
    lists    TEXT,             -- JSON: static lists; null: not read
    programs TEXT,             -- JSON: program memberships; null: not read
    taken_at TEXT NOT NULL
) STRICT;
CREATE INDEX backup_of ON backup (lead, plan);

-- One call that changes something at Marketo.
CREATE TABLE call (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    plan TEXT NOT NULL REFERENCES plan (id),
    kind TEXT NOT NULL CHECK (kind IN ('write', 'merge')),
    key  TEXT NOT NULL -- the group's; empty for a write, which serves many groups
) STRICT;

-- The leads that a call touches.
CREATE TABLE call_lead (
    call   INTEGER NOT NULL REFERENCES call (id),
    place  INTEGER NOT NULL, -- order within the call: it decides which loser's values win
    lead   INTEGER NOT NULL,
    role   TEXT NOT NULL CHECK (role IN ('winner', 'loser')),
    PRIMARY KEY (call, place)
) STRICT;

-- What became of a call, event by event. Its state is the fold of its events.
CREATE TABLE journal (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    call       INTEGER NOT NULL REFERENCES call (id),
    event      TEXT NOT NULL,
    at         TEXT NOT NULL,
    request_id TEXT,    -- Marketo's
    code       TEXT,    -- Marketo's
    detail     TEXT,    -- why
    survivor   INTEGER, -- the lead that a merge left
    merged     TEXT     -- JSON: the leads that are gone
) STRICT;
CREATE INDEX journal_of ON journal (call);

CREATE TRIGGER meta_stays BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER meta_kept BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_stays BEFORE UPDATE ON plan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_kept BEFORE DELETE ON plan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER backup_stays BEFORE UPDATE ON backup BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER backup_kept BEFORE DELETE ON backup BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_stays BEFORE UPDATE ON call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_kept BEFORE DELETE ON call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_lead_stays BEFORE UPDATE ON call_lead BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_lead_kept BEFORE DELETE ON call_lead BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER journal_stays BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
