-- What was seen of merges after they were settled: Marketo's own record of each, and what its survivor is a member of.

-- A look. It is a record of its own: what an earlier one showed stays.
CREATE TABLE witness_look (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('log', 'members')),
    at   TEXT NOT NULL
) STRICT;

-- What a look showed of a merge.
CREATE TABLE witness (
    look    INTEGER NOT NULL REFERENCES witness_look (id),
    call    INTEGER NOT NULL REFERENCES call (id),
    verdict TEXT NOT NULL,
    body    TEXT,          -- JSON; null where it was erased
    sha256  TEXT NOT NULL, -- of the body: what hashes rest on outlives it
    PRIMARY KEY (look, call)
) STRICT;
CREATE INDEX witness_of ON witness (call);

-- The extra records of the groups that a plan merges: how they came about, and the login of the API user that made them.
CREATE TABLE extra_record (
    plan  TEXT NOT NULL REFERENCES plan (id),
    lead  INTEGER NOT NULL,
    cause TEXT NOT NULL,
    login TEXT, -- null: no API user, or it is not known
    PRIMARY KEY (plan, lead)
) STRICT;

CREATE TRIGGER witness_look_stays BEFORE UPDATE ON witness_look BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_look_kept BEFORE DELETE ON witness_look BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_stays BEFORE UPDATE ON witness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_kept BEFORE DELETE ON witness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER extra_record_stays BEFORE UPDATE ON extra_record BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER extra_record_kept BEFORE DELETE ON extra_record BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
