-- What a refresh leans on: the fields of the rows that it renews, and what it has found so far.

-- The fields that the last complete scan read, a JSON array. Null where an earlier format kept the scan.
ALTER TABLE meta ADD COLUMN fields TEXT;

-- Leads that a refresh under way has removed, and those of them that a merge took. A full scan removes at its end alone.
ALTER TABLE running ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE running ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;
