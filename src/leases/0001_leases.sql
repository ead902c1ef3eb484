-- Who may write which key, for the processes of one machine. Every round first removes what is over, so that each row
-- that is left counts. Times are milliseconds of the machine's clock (machine_clock.rs).

-- One row. `boot` tells whether the times are of this run of the machine; until `quiet_until` nothing is granted.
CREATE TABLE machine (
  boot TEXT NOT NULL,
  quiet_until INTEGER NOT NULL
);

-- One row: the last number given to a place or a grant. It never goes back.
CREATE TABLE number (last INTEGER NOT NULL);
INSERT INTO number VALUES (0);

CREATE TABLE lease (
  key BLOB PRIMARY KEY CHECK (length(key) = 32),
  fence INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  -- The longest that it was ever asked to last.
  span INTEGER NOT NULL
) WITHOUT ROWID;

-- A process that waits; its places go with it.
CREATE TABLE owner (
  id INTEGER PRIMARY KEY,
  alive_until INTEGER NOT NULL
);

CREATE TABLE place (
  key BLOB NOT NULL CHECK (length(key) = 32),
  ticket INTEGER NOT NULL,
  owner INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE,
  PRIMARY KEY (key, ticket)
) WITHOUT ROWID;
CREATE INDEX place_of_owner ON place (owner, ticket, key);
