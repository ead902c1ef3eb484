-- Plans whose groups are rows, so that one of a hundred thousand groups is read a page at a time; what people decided
-- about them; and who approved what. A plan's id stays a row of `plan`, whose body is then the header alone.

CREATE TABLE plan_head (
    number INTEGER PRIMARY KEY,
    plan   TEXT NOT NULL UNIQUE REFERENCES plan (id),
    digest TEXT NOT NULL,        -- SHA-256 over the header, the groups and what is blocked
    name   TEXT UNIQUE           -- by which people call it
) STRICT;

-- What a list of the groups needs.
CREATE TABLE plan_group (
    plan    INTEGER NOT NULL,    -- `plan_head.number`
    place   INTEGER NOT NULL,    -- from 0
    key     TEXT NOT NULL,
    risk    TEXT NOT NULL,
    cause   TEXT,
    domain  TEXT,                -- of the address, where the key is one
    names   TEXT NOT NULL,       -- of its leads, for the search
    winner  INTEGER NOT NULL,
    losers  INTEGER NOT NULL,    -- how many
    dropped INTEGER NOT NULL,    -- how many values
    lost    INTEGER NOT NULL,    -- how many opt-outs: none
    PRIMARY KEY (plan, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX plan_group_by_key ON plan_group (plan, key);
CREATE INDEX plan_group_by_winner ON plan_group (plan, winner);

-- What one group is made of.
CREATE TABLE plan_body (
    plan  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    body  TEXT NOT NULL,         -- JSON: the planned group
    leads TEXT NOT NULL,         -- JSON: its leads with every readable field that has a value
    PRIMARY KEY (plan, place)
) STRICT;

-- Groups that nobody can decide about.
CREATE TABLE plan_left (
    plan   INTEGER NOT NULL,
    place  INTEGER NOT NULL,
    key    TEXT NOT NULL,
    leads  TEXT NOT NULL,        -- JSON: ids
    reason TEXT NOT NULL,
    PRIMARY KEY (plan, place)
) STRICT;

-- Groups as a run takes them up, where a decision makes them other than the plan has them. The last row counts.
CREATE TABLE carried (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    plan   TEXT NOT NULL REFERENCES plan (id),
    key    TEXT NOT NULL,
    winner INTEGER NOT NULL,
    body   TEXT NOT NULL         -- JSON: the planned group
) STRICT;
CREATE INDEX carried_of ON carried (plan);

-- What was decided about a group; the last row counts.
CREATE TABLE decision (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    plan    TEXT NOT NULL REFERENCES plan (id),
    key     TEXT NOT NULL,
    state   TEXT NOT NULL,       -- JSON: everything decided about it, without the note
    note    TEXT,
    by      TEXT NOT NULL,
    at      TEXT NOT NULL,
    door    TEXT NOT NULL,       -- where it came in
    refused TEXT,                -- why it cannot be carried out
    risk    TEXT NOT NULL,       -- of the group as decided
    losers  INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    lost    INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_of ON decision (plan, seq);

-- Records that share a key and are not one person.
CREATE TABLE not_same (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    plan  TEXT NOT NULL REFERENCES plan (id),
    key   TEXT NOT NULL,
    leads TEXT NOT NULL,         -- JSON: id, first and last name of each, as they were
    note  TEXT,
    by    TEXT NOT NULL,
    at    TEXT NOT NULL
) STRICT;
CREATE INDEX not_same_of ON not_same (key);

CREATE TABLE not_same_end (
    not_same INTEGER PRIMARY KEY REFERENCES not_same (seq),
    by       TEXT NOT NULL,
    at       TEXT NOT NULL
) STRICT;

CREATE TABLE approval (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    plan   TEXT NOT NULL REFERENCES plan (id),
    digest TEXT NOT NULL,        -- of the plan with the decisions in force then
    note   TEXT,
    by     TEXT NOT NULL,
    at     TEXT NOT NULL
) STRICT;
CREATE INDEX approval_of ON approval (plan);

-- An approval that a run has taken up.
CREATE TABLE approval_use (
    approval INTEGER PRIMARY KEY REFERENCES approval (seq),
    at       TEXT NOT NULL
) STRICT;

CREATE TRIGGER plan_head_stays BEFORE UPDATE ON plan_head BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_head_kept BEFORE DELETE ON plan_head BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_group_stays BEFORE UPDATE ON plan_group BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_group_kept BEFORE DELETE ON plan_group BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_body_stays BEFORE UPDATE ON plan_body BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_body_kept BEFORE DELETE ON plan_body BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_left_stays BEFORE UPDATE ON plan_left BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER plan_left_kept BEFORE DELETE ON plan_left BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER carried_stays BEFORE UPDATE ON carried BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER carried_kept BEFORE DELETE ON carried BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER decision_stays BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER decision_kept BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_same_stays BEFORE UPDATE ON not_same BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_same_kept BEFORE DELETE ON not_same BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_same_end_stays BEFORE UPDATE ON not_same_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_same_end_kept BEFORE DELETE ON not_same_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_stays BEFORE UPDATE ON approval BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_kept BEFORE DELETE ON approval BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_use_stays BEFORE UPDATE ON approval_use BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_use_kept BEFORE DELETE ON approval_use BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
