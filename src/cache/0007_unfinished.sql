-- How far a scan that did not end came, and how far the activity log was read.

-- What the scan under way is expected to reach, in the unit of its cursor; null where nobody knows.
ALTER TABLE running ADD COLUMN expected INTEGER;

-- What the last scan that was begun has found out of how leads in groups came to be: `known`, `unfinished`, `not_asked`
-- or `denied`. Null where an earlier format kept the scan, or where the leads come from a file.
ALTER TABLE meta ADD COLUMN causes TEXT;
