-- Leads as they come off a scan, and those that share their key with another one kept apart, so that a report reads
-- nothing else. The rows of `lead_8` are moved by the program.

-- The fields of leads, by their place in the array `body`. Places are only ever added.
CREATE TABLE field (
  place INTEGER PRIMARY KEY,
  name  TEXT NOT NULL UNIQUE
) STRICT;

DROP INDEX lead_by_key;
ALTER TABLE lead RENAME TO lead_8;

CREATE TABLE lead (
  id   INTEGER PRIMARY KEY,
  -- The number of the scan that saw it last: a complete scan removes what it has not seen.
  scan INTEGER NOT NULL,
  -- Computed in Rust; null where the lead has no key.
  key  TEXT,
  -- Its values by the places of their fields, a JSON array; nulls at its end are left out.
  body TEXT NOT NULL
) STRICT;

-- The leads whose key others have too, while `meta.grouped` is 1; their bodies as in `lead`.
CREATE TABLE member (
  key  TEXT NOT NULL,
  lead INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (key, lead)
) STRICT, WITHOUT ROWID;

-- Their keys in the order of reports: the largest group first, then by key.
CREATE TABLE member_key (
  size INTEGER NOT NULL,
  key  TEXT NOT NULL,
  PRIMARY KEY (size DESC, key)
) STRICT, WITHOUT ROWID;

-- Whether `member` and `member_key` are exact. An index `lead_by_key` is there only once a refresh has needed it.
ALTER TABLE meta ADD COLUMN grouped INTEGER NOT NULL DEFAULT 0;
-- How many leads there are; null where they have to be counted.
ALTER TABLE meta ADD COLUMN leads INTEGER;
