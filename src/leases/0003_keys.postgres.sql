-- One row for each key that is leased or waited for, to which the program applies its rules (state.rs). It takes the
-- place of three tables whose rules were in SQL: a program of an older format finds none of them, and stops writing.
CREATE TABLE mkto_audit_leases.key_state (
  key bytea PRIMARY KEY CHECK (length(key) = 32),
  -- The number of the last grant.
  generation bigint NOT NULL,
  ends_at bigint NOT NULL,
  -- Who waits, the first one first: for each 24 bytes, its ticket, its guard, and until when it counts.
  waiting bytea NOT NULL,
  -- From when on the row does not count any more.
  over_at bigint NOT NULL
);
CREATE INDEX key_state_over ON mkto_audit_leases.key_state (over_at);
INSERT INTO mkto_audit_leases.key_state SELECT key, fence, ends_at, '', ends_at FROM mkto_audit_leases.lease;
DROP TABLE mkto_audit_leases.place;
DROP TABLE mkto_audit_leases.owner;
DROP TABLE mkto_audit_leases.lease;

-- One row.
CREATE TABLE mkto_audit_leases.store (
  -- Which server it is, and which of its histories (postgres.rs): another one than before may lack the latest leases.
  identity text NOT NULL,
  -- Nothing is granted before.
  quiet_until bigint NOT NULL,
  -- The last number given to a caller or a grant; at least the time in milliseconds since 1970.
  last bigint NOT NULL,
  -- Counts the changes: a process that has seen more of them knows that an older state of the store is back.
  saves bigint NOT NULL
);
INSERT INTO mkto_audit_leases.store SELECT '', 0, last_value, 0 FROM mkto_audit_leases.number;
DROP SEQUENCE mkto_audit_leases.number;
UPDATE mkto_audit_leases.format SET version = 3;
