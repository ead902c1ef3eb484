-- What the guards of an instance have claimed of its limits: a row each, renewed for as long as it lives (share.rs).
CREATE TABLE share (
  -- The instance's hash.
  instance BLOB NOT NULL CHECK (length(instance) = 32),
  owner INTEGER NOT NULL,
  -- What it may use: calls in a window, calls at once.
  calls INTEGER NOT NULL,
  at_once INTEGER NOT NULL,
  -- What it has use for.
  wants_calls INTEGER NOT NULL,
  wants_at_once INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  PRIMARY KEY (instance, owner)
) WITHOUT ROWID;
