-- Rows of custom objects that are linked to the record that stays before a merge, and linked back where it is not made.
-- The calls are writes without leads: they are set apart by their row here. A row's content is not kept, since only its
-- link changes.

CREATE TABLE row_call (
    call    INTEGER PRIMARY KEY REFERENCES call (id),
    object  TEXT NOT NULL, -- the object's API name
    field   TEXT NOT NULL, -- the field that holds the link
    purpose TEXT NOT NULL CHECK (purpose IN ('move', 'follow', 'give_back', 'restore'))
) STRICT;

-- What such a call asks for: the former link is how a row finds its way back.
CREATE TABLE row_link (
    call    INTEGER NOT NULL REFERENCES row_call (call),
    place   INTEGER NOT NULL,
    guid    TEXT NOT NULL,    -- Marketo's own id of the row
    winner  INTEGER NOT NULL, -- of the group that it is moved for
    was     INTEGER NOT NULL, -- the lead that it hung on
    becomes INTEGER NOT NULL, -- the lead that it is linked to
    PRIMARY KEY (call, place)
) STRICT;
CREATE INDEX row_link_was ON row_link (was);
CREATE INDEX row_link_winner ON row_link (winner);

-- That a row needs nothing more, and why.
CREATE TABLE row_end (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    call INTEGER NOT NULL REFERENCES row_call (call),
    guid TEXT NOT NULL,
    how  TEXT NOT NULL CHECK (how IN ('not_moved', 'merged', 'given_back', 'stays')),
    why  TEXT NOT NULL,
    at   TEXT NOT NULL,
    UNIQUE (call, guid)
) STRICT;

CREATE TRIGGER row_call_stays BEFORE UPDATE ON row_call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER row_call_kept BEFORE DELETE ON row_call BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER row_link_stays BEFORE UPDATE ON row_link BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER row_link_kept BEFORE DELETE ON row_link BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER row_end_stays BEFORE UPDATE ON row_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER row_end_kept BEFORE DELETE ON row_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
