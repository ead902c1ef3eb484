-- What a certificate says that is set in the configuration, as it was when the run ended, or when it was first sealed.
CREATE TABLE certificate_about (
    run      INTEGER PRIMARY KEY REFERENCES run (id),
    price    TEXT,          -- of a record, in the user's words; null for none
    scans_of TEXT NOT NULL, -- the name of the cache whose scans it counts by
    at       TEXT NOT NULL
) STRICT;

-- The files that were handed out: by its hash a file can be checked after the values in it were erased from the ledger.
CREATE TABLE certificate_file (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    run    INTEGER NOT NULL REFERENCES run (id),
    kind   TEXT NOT NULL,    -- html, json or csv
    sha256 TEXT NOT NULL,    -- of its bytes
    looks  INTEGER NOT NULL, -- how many later looks at the run's merges are in it
    at     TEXT NOT NULL,
    UNIQUE (run, sha256)
) STRICT;
CREATE INDEX certificate_file_of ON certificate_file (sha256);

CREATE TRIGGER certificate_about_stays BEFORE UPDATE ON certificate_about BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER certificate_about_kept BEFORE DELETE ON certificate_about BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER certificate_file_stays BEFORE UPDATE ON certificate_file BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER certificate_file_kept BEFORE DELETE ON certificate_file BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
