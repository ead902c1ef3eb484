-- Totals of complete scans that are not in the ledger yet, since another process had it open.
CREATE TABLE waiting_totals (
  id   TEXT PRIMARY KEY,
  body TEXT NOT NULL -- JSON
) STRICT;
