-- What each merge did to its survivor, field by field, and the seals of certificates.

-- Written before the merge is settled; the last row of a call counts.
CREATE TABLE proof (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    call INTEGER NOT NULL REFERENCES call (id),
    body TEXT NOT NULL, -- JSON: each field as predicted and as found, with its verdict
    at   TEXT NOT NULL
) STRICT;
CREATE INDEX proof_of ON proof (call);

-- The last hash of a certificate's chain. A certificate of which a call was settled later has a later seal.
CREATE TABLE certificate (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    run  INTEGER NOT NULL REFERENCES run (id),
    seal TEXT NOT NULL, -- SHA-256
    at   TEXT NOT NULL,
    UNIQUE (run, seal)
) STRICT;

CREATE TRIGGER proof_stays BEFORE UPDATE ON proof BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER proof_kept BEFORE DELETE ON proof BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER certificate_stays BEFORE UPDATE ON certificate BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER certificate_kept BEFORE DELETE ON certificate BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
