-- A third kind of look at merges: for rows of custom objects that hang on the records that are gone. The tables are made
-- anew, since SQLite cannot change what a column may hold.

CREATE TABLE witness_look_anew (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('log', 'members', 'rows')),
    at   TEXT NOT NULL
) STRICT;
INSERT INTO witness_look_anew (id, kind, at) SELECT id, kind, at FROM witness_look;

CREATE TABLE witness_anew (
    look    INTEGER NOT NULL REFERENCES witness_look_anew (id),
    call    INTEGER NOT NULL REFERENCES call (id),
    verdict TEXT NOT NULL,
    body    TEXT,          -- JSON; null where it was erased
    sha256  TEXT NOT NULL, -- of the body: what hashes rest on outlives it
    PRIMARY KEY (look, call)
) STRICT;
INSERT INTO witness_anew (look, call, verdict, body, sha256) SELECT look, call, verdict, body, sha256 FROM witness;

DROP TABLE witness;
DROP TABLE witness_look;
ALTER TABLE witness_look_anew RENAME TO witness_look;
ALTER TABLE witness_anew RENAME TO witness;
CREATE INDEX witness_of ON witness (call);

CREATE TRIGGER witness_look_stays BEFORE UPDATE ON witness_look BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_look_kept BEFORE DELETE ON witness_look BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_stays BEFORE UPDATE ON witness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER witness_kept BEFORE DELETE ON witness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Where a row was put last is asked for by the row.
CREATE INDEX row_link_guid ON row_link (guid);
