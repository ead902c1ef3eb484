-- What each complete scan found, one row a scan: the memory that a report by itself does not have.
CREATE TABLE scan_totals (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE, -- the scan's: what is handed in twice is kept once
    of            TEXT NOT NULL,        -- the name of the cache: the instance, or what `scan --as` named
    ended_at      TEXT NOT NULL,
    strategy      TEXT NOT NULL,        -- `pages`, `bulk`, `refresh` or `file`
    records       INTEGER NOT NULL,
    groups        INTEGER NOT NULL,
    excess        INTEGER NOT NULL,     -- extra records
    mergeable     INTEGER NOT NULL,     -- those of them that could be merged then
    perhaps_meant INTEGER NOT NULL,
    by_cause      TEXT NOT NULL,        -- JSON: extra records and groups by cause
    by_user       TEXT                  -- JSON: the same by API user, '' for none; null: not known
) STRICT;
CREATE INDEX scan_totals_of ON scan_totals (of, seq);
CREATE TRIGGER scan_totals_stays BEFORE UPDATE ON scan_totals BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER scan_totals_kept BEFORE DELETE ON scan_totals BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
