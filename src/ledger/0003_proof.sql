-- What a run leans on beyond its plan: the values of each write, what Marketo refused or did not take, and what a merge
-- lost and nobody has put right.

-- What a write asks for, field by field. A write of an older format has no rows here: its values are in the plan.
CREATE TABLE call_value (
    call   INTEGER NOT NULL REFERENCES call (id),
    lead   INTEGER NOT NULL,
    field  TEXT NOT NULL,
    before TEXT NOT NULL, -- JSON
    after  TEXT NOT NULL, -- JSON
    PRIMARY KEY (call, lead, field)
) STRICT;

-- Why a write is made. A write without a row here prepares a merge.
CREATE TABLE call_purpose (
    call    INTEGER PRIMARY KEY REFERENCES call (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('prepare', 'mend', 'give_back'))
) STRICT;

CREATE INDEX call_lead_of ON call_lead (lead);

-- A value or a consent that a merge lost. It is open until there is a row for it below.
CREATE TABLE finding (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    plan   TEXT NOT NULL REFERENCES plan (id),
    key    TEXT NOT NULL,
    lead   INTEGER NOT NULL, -- the survivor
    field  TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('consent', 'value', 'program')),
    wanted TEXT NOT NULL,    -- JSON
    found  TEXT NOT NULL,    -- JSON
    at     TEXT NOT NULL
) STRICT;
CREATE TABLE finding_end (
    finding INTEGER PRIMARY KEY REFERENCES finding (id),
    how     TEXT NOT NULL,
    at      TEXT NOT NULL
) STRICT;

-- A merge that Marketo refused for the group's own sake. The digest is of its leads as they were.
CREATE TABLE refusal (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    plan       TEXT NOT NULL REFERENCES plan (id),
    key        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    request_id TEXT,
    at         TEXT NOT NULL
) STRICT;
CREATE INDEX refusal_of ON refusal (key);

-- A write that Marketo answered with `updated` while the field kept its value.
CREATE TABLE not_taken (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    field TEXT NOT NULL,
    lead  INTEGER NOT NULL,
    at    TEXT NOT NULL
) STRICT;

CREATE TRIGGER call_value_stays BEFORE UPDATE ON call_value BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_value_kept BEFORE DELETE ON call_value BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_purpose_stays BEFORE UPDATE ON call_purpose BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER call_purpose_kept BEFORE DELETE ON call_purpose BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER finding_stays BEFORE UPDATE ON finding BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER finding_kept BEFORE DELETE ON finding BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER finding_end_stays BEFORE UPDATE ON finding_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER finding_end_kept BEFORE DELETE ON finding_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER refusal_stays BEFORE UPDATE ON refusal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER refusal_kept BEFORE DELETE ON refusal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_taken_stays BEFORE UPDATE ON not_taken BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_taken_kept BEFORE DELETE ON not_taken BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Up to which row of the journal Marketo's log was read for opt-outs that came while merges ran. Merges of an older
-- format are long over.
CREATE TABLE late_read (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    journal INTEGER NOT NULL,
    at      TEXT NOT NULL
) STRICT;
INSERT INTO late_read (journal, at) SELECT coalesce(max(seq), 0), '' FROM journal;
CREATE TRIGGER late_read_stays BEFORE UPDATE ON late_read BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER late_read_kept BEFORE DELETE ON late_read BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
