-- One row for each key that is leased or waited for, to which the program applies its rules (state.rs). It takes the
-- place of three tables whose rules were in SQL: a program of an older format finds none of them, and stops writing.
CREATE TABLE key_state (
  key BLOB PRIMARY KEY CHECK (length(key) = 32),
  -- The number of the last grant.
  generation INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  -- Who waits, the first one first: for each 24 bytes, its ticket, its guard, and until when it counts.
  waiting BLOB NOT NULL,
  -- From when on the row does not count any more.
  over_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX key_state_over ON key_state (over_at);
INSERT INTO key_state SELECT key, fence, ends_at, x'', ends_at FROM lease;
DROP TABLE place;
DROP TABLE owner;
DROP TABLE lease;

-- `last` is at least the time in milliseconds since 1970 from now on. `saves` counts the changes: a process that has
-- seen more of them knows that an older state of the file is back.
ALTER TABLE number ADD COLUMN saves INTEGER NOT NULL DEFAULT 0;
