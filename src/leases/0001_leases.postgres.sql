-- Who may write which key, for guards on several machines. Every round first removes what is over, so that each row that
-- is left counts. Times are milliseconds since 1970 by the server's clock: whichever machine asks, one clock answers.
CREATE SCHEMA mkto_audit_leases;

-- One row, for a later format to find.
CREATE TABLE mkto_audit_leases.format (version integer NOT NULL);
INSERT INTO mkto_audit_leases.format VALUES (1);

-- The last number given to a place or a grant. It never goes back.
CREATE SEQUENCE mkto_audit_leases.number;

CREATE TABLE mkto_audit_leases.lease (
  key bytea PRIMARY KEY CHECK (length(key) = 32),
  fence bigint NOT NULL,
  ends_at bigint NOT NULL
);

-- A process that waits; its places go with it.
CREATE TABLE mkto_audit_leases.owner (
  id bigint PRIMARY KEY,
  alive_until bigint NOT NULL
);

CREATE TABLE mkto_audit_leases.place (
  key bytea NOT NULL CHECK (length(key) = 32),
  ticket bigint NOT NULL,
  owner bigint NOT NULL REFERENCES mkto_audit_leases.owner (id) ON DELETE CASCADE,
  PRIMARY KEY (key, ticket)
);
CREATE INDEX place_of_owner ON mkto_audit_leases.place (owner, ticket);
