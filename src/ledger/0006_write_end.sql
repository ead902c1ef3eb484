-- Leads that need nothing more of a write which prepared a merge: Marketo did not write them, or a look showed that they
-- hold nothing of it that is to be given back.
CREATE TABLE write_end (
    call INTEGER NOT NULL REFERENCES call (id),
    lead INTEGER NOT NULL,
    how  TEXT NOT NULL,
    at   TEXT NOT NULL,
    PRIMARY KEY (call, lead)
) STRICT;

-- An older version knew only of answers: it took a give-back that Marketo had answered for the end.
INSERT INTO write_end (call, lead, how, at)
SELECT DISTINCT given.call, given.lead, 'given back', ''
FROM call_lead AS given
JOIN call AS given_by ON given_by.id = given.call AND given_by.kind = 'write'
JOIN call_lead AS back ON back.lead = given.lead AND back.call > given.call
JOIN call_purpose ON call_purpose.call = back.call AND purpose = 'give_back'
JOIN journal ON journal.call = back.call AND event = 'verified'
WHERE given.call NOT IN (SELECT call FROM call_purpose);

-- Findings that are a value before a write whose merge was not made: no merge lost it.
CREATE TABLE not_set_back (
    finding INTEGER PRIMARY KEY REFERENCES finding (id)
) STRICT;

CREATE TRIGGER write_end_stays BEFORE UPDATE ON write_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER write_end_kept BEFORE DELETE ON write_end BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_set_back_stays BEFORE UPDATE ON not_set_back BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER not_set_back_kept BEFORE DELETE ON not_set_back BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
