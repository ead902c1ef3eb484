-- What the guards of an instance have claimed of its limits: a row each, renewed for as long as it lives (share.rs).
CREATE TABLE mkto_audit_leases.share (
  -- The instance's hash.
  instance bytea NOT NULL CHECK (length(instance) = 32),
  owner bigint NOT NULL,
  -- What it may use: calls in a window, calls at once.
  calls bigint NOT NULL,
  at_once bigint NOT NULL,
  -- What it has use for.
  wants_calls bigint NOT NULL,
  wants_at_once bigint NOT NULL,
  ends_at bigint NOT NULL,
  PRIMARY KEY (instance, owner)
);
UPDATE mkto_audit_leases.format SET version = 2;
