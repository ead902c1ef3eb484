-- The cache: what a scan read, one row a lead. Never edited after its release; a later format is a file of its own.

-- One row: whose cache this is, and what the last complete scan was.
CREATE TABLE meta (
  only          INTEGER PRIMARY KEY CHECK (only = 1),
  instance      TEXT NOT NULL,
  -- The rule that the column lead.key was computed by.
  key_signature TEXT NOT NULL,
  -- The number of the last scan that was begun.
  scans         INTEGER NOT NULL,
  -- Of the last complete scan; null before there is one.
  scanned_at    TEXT,
  strategy      TEXT
) STRICT;

-- At most one row: the scan that is not complete yet, and how far it came.
CREATE TABLE running (
  only          INTEGER PRIMARY KEY CHECK (only = 1),
  number        INTEGER NOT NULL,
  strategy      TEXT NOT NULL,
  -- The fields that it reads, a JSON array.
  fields        TEXT NOT NULL,
  key_signature TEXT NOT NULL,
  -- Opaque here: the scan's own words for where to go on.
  cursor        TEXT,
  added         INTEGER NOT NULL,
  changed       INTEGER NOT NULL
) STRICT;

-- Audit fields in columns, where a value has the column's type; every other value in `rest`, a JSON object.
CREATE TABLE lead (
  id                 INTEGER PRIMARY KEY,
  -- The number of the scan that saw it last: a complete scan removes what it has not seen.
  scan               INTEGER NOT NULL,
  -- Computed in Rust; null where the lead has no key.
  key                TEXT,
  email              TEXT,
  firstName          TEXT,
  lastName           TEXT,
  company            TEXT,
  createdAt          TEXT,
  updatedAt          TEXT,
  originalSourceType TEXT,
  originalSourceInfo TEXT,
  leadPartitionId    INTEGER,
  sfdcType           TEXT,
  sfdcLeadId         TEXT,
  sfdcContactId      TEXT,
  unsubscribed       INTEGER,
  marketingSuspended INTEGER,
  doNotCall          INTEGER,
  blackListed        INTEGER,
  rest               TEXT
) STRICT;

-- Grouping reads this index alone, in order.
CREATE INDEX lead_by_key ON lead (key, id) WHERE key IS NOT NULL;
