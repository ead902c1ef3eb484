-- Bulk extracts that a scan has ordered, and the moment from which a refresh has to look.

-- When the last complete scan began: what changed since then it may not have seen. Null where it read a file.
ALTER TABLE meta ADD COLUMN refresh_from TEXT;

-- When the scan that is under way began; becomes meta.refresh_from when it is complete.
ALTER TABLE running ADD COLUMN begun_at TEXT;

-- The windows of creation times that the scan under way reads, one job each. Together they have neither gap nor overlap.
-- Emptied when a scan begins and when it is complete.
CREATE TABLE export_job (
  -- The first and the last second of the window, both included; RFC 3339 in UTC.
  start_at  TEXT PRIMARY KEY,
  end_at    TEXT NOT NULL,
  -- When a job for it was last about to be ordered; with no export_id, nobody knows whether it was.
  asked_at  TEXT,
  export_id TEXT,
  -- Jobs that came to nothing: failed, or without their file.
  lost      INTEGER NOT NULL DEFAULT 0,
  -- Once its file is in the cache: the file's rows and bytes.
  rows      INTEGER,
  bytes     INTEGER
) STRICT;
