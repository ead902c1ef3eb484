-- What people said about a group that outlives its plan: on hold, not one person, records left out. And approvals that a
-- later decision voided, for good.

CREATE TABLE lasting_word (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    plan     TEXT NOT NULL REFERENCES plan (id),
    key      TEXT NOT NULL,
    choice   TEXT,               -- hold, not_same; null where records alone are left out
    left_out TEXT NOT NULL,      -- JSON: ids
    leads    TEXT NOT NULL,      -- JSON: id, first and last name of each record of the group, as they were
    decision INTEGER,            -- `decision.seq`: the word counts while no later one is about the group in its plan
    note     TEXT,
    by       TEXT NOT NULL,
    at       TEXT NOT NULL
) STRICT;
CREATE INDEX lasting_word_of ON lasting_word (key);

-- That a word ended: somebody took it back, and `plan` is null; or decided otherwise in a later plan, which counts while no
-- later decision is about the group there.
CREATE TABLE lasting_word_end (
    seq      INTEGER PRIMARY KEY,
    word     INTEGER NOT NULL REFERENCES lasting_word (seq),
    plan     TEXT,
    decision INTEGER,
    by       TEXT NOT NULL,
    at       TEXT NOT NULL
) STRICT;
CREATE INDEX lasting_word_end_of ON lasting_word_end (word);

-- The word that a decision was taken over from, where nobody decided in this plan.
ALTER TABLE decision ADD COLUMN word INTEGER;
CREATE INDEX decision_about ON decision (plan, key, seq);

CREATE TABLE approval_void (
    approval INTEGER PRIMARY KEY REFERENCES approval (seq),
    by       TEXT NOT NULL,
    at       TEXT NOT NULL
) STRICT;

INSERT INTO lasting_word (seq, plan, key, choice, left_out, leads, decision, note, by, at)
    SELECT seq, plan, key, 'not_same', '[]', leads,
        (SELECT max(seq) FROM decision WHERE decision.plan = not_same.plan AND decision.key = not_same.key),
        note, by, at
    FROM not_same;
INSERT INTO lasting_word_end (word, by, at) SELECT not_same, by, at FROM not_same_end;
DROP TABLE not_same_end;
DROP TABLE not_same;

-- Decided about since, whatever was decided in the end.
INSERT INTO approval_void (approval, by, at)
    SELECT approval.seq, decision.by, decision.at FROM approval
    JOIN decision ON decision.seq = (
        SELECT min(later.seq) FROM decision AS later WHERE later.plan = approval.plan AND later.at > approval.at
    );

CREATE TRIGGER lasting_word_stays BEFORE UPDATE ON lasting_word BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER lasting_word_kept BEFORE DELETE ON lasting_word BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER lasting_word_end_stays BEFORE UPDATE ON lasting_word_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER lasting_word_end_kept BEFORE DELETE ON lasting_word_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_void_stays BEFORE UPDATE ON approval_void BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER approval_void_kept BEFORE DELETE ON approval_void BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
