-- What was spent of an instance's daily quota, by the day in US Central, by every program of this user together.
CREATE TABLE spent (
  day   TEXT PRIMARY KEY,
  calls INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
