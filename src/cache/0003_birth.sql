-- How leads in groups came to be: their New Lead activities, and those of leads that were merged into others since.
CREATE TABLE birth (
  -- The lead that carries the activity today.
  lead        INTEGER NOT NULL,
  -- The id that it was about when it was written: another one than `lead` was merged away.
  born_as     INTEGER NOT NULL,
  -- In whole seconds, RFC 3339.
  at          TEXT NOT NULL,
  source_type TEXT,
  api_method  TEXT,
  api_user    TEXT,
  request_id  TEXT,
  list        TEXT,
  form        TEXT,
  crm_type    TEXT,
  -- Ids may come back after a purge.
  PRIMARY KEY (lead, born_as, at)
) STRICT, WITHOUT ROWID;

-- The leads whose births were asked for, found or not: nobody asks twice.
CREATE TABLE birth_asked (
  lead INTEGER PRIMARY KEY
) STRICT;
