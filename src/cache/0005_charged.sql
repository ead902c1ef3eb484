-- Whether the bytes of the job's file are counted in the budget of a day: once, when it is first seen complete.
ALTER TABLE export_job ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
