-- Test people of `probe`, and what the instance was seen to do.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    by TEXT,
    at TEXT NOT NULL
) STRICT;

-- Whether it came to its end, its people removed. One that was killed has none.
CREATE TABLE probe_end (
    probe    INTEGER PRIMARY KEY REFERENCES probe (id),
    complete INTEGER NOT NULL,
    at       TEXT NOT NULL
) STRICT;

-- A test person that is about to be made: written before the call leaves. The address is new, and nobody else has it.
CREATE TABLE probe_person (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    probe   INTEGER NOT NULL REFERENCES probe (id),
    address TEXT NOT NULL UNIQUE,
    at      TEXT NOT NULL
) STRICT;

-- A lead with that address, as an answer or a look has shown it. Two calls that race make two.
CREATE TABLE probe_lead (
    person INTEGER NOT NULL REFERENCES probe_person (id),
    lead   INTEGER NOT NULL,
    how    TEXT NOT NULL,
    at     TEXT NOT NULL,
    PRIMARY KEY (person, lead)
) STRICT;

-- A lead that is gone, as a look has shown it.
CREATE TABLE probe_gone (
    person INTEGER NOT NULL,
    lead   INTEGER NOT NULL,
    how    TEXT NOT NULL,
    at     TEXT NOT NULL,
    PRIMARY KEY (person, lead),
    FOREIGN KEY (person, lead) REFERENCES probe_lead (person, lead)
) STRICT;

-- No lead has the address any more, and none can come.
CREATE TABLE probe_person_end (
    person INTEGER PRIMARY KEY REFERENCES probe_person (id),
    how    TEXT NOT NULL,
    at     TEXT NOT NULL
) STRICT;

-- A merge of test people that is about to leave.
CREATE TABLE probe_merge (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    probe  INTEGER NOT NULL REFERENCES probe (id),
    winner INTEGER NOT NULL,
    losers TEXT NOT NULL, -- JSON: lead ids
    at     TEXT NOT NULL
) STRICT;
CREATE TABLE probe_merge_end (
    merge      INTEGER PRIMARY KEY REFERENCES probe_merge (id),
    how        TEXT NOT NULL,
    request_id TEXT,
    at         TEXT NOT NULL
) STRICT;

-- What was found; the last row counts.
CREATE TABLE instance_profile (
    probe  INTEGER PRIMARY KEY REFERENCES probe (id),
    body   TEXT NOT NULL, -- JSON
    sha256 TEXT NOT NULL, -- of the body
    at     TEXT NOT NULL
) STRICT;

CREATE TRIGGER probe_stays BEFORE UPDATE ON probe BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_kept BEFORE DELETE ON probe BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_end_stays BEFORE UPDATE ON probe_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_end_kept BEFORE DELETE ON probe_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_person_stays BEFORE UPDATE ON probe_person BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_person_kept BEFORE DELETE ON probe_person BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_lead_stays BEFORE UPDATE ON probe_lead BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_lead_kept BEFORE DELETE ON probe_lead BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_gone_stays BEFORE UPDATE ON probe_gone BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_gone_kept BEFORE DELETE ON probe_gone BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_person_end_stays BEFORE UPDATE ON probe_person_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_person_end_kept BEFORE DELETE ON probe_person_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_merge_stays BEFORE UPDATE ON probe_merge BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_merge_kept BEFORE DELETE ON probe_merge BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_merge_end_stays BEFORE UPDATE ON probe_merge_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER probe_merge_end_kept BEFORE DELETE ON probe_merge_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER instance_profile_stays BEFORE UPDATE ON instance_profile BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER instance_profile_kept BEFORE DELETE ON instance_profile BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
