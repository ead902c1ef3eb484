-- Leads as a file brought them, some hundred in a row, since SQLite takes its time by the row. They are only read: the
-- first change of a single lead moves all of them into `lead`, so that one of the two tables is empty at any time.
CREATE TABLE packed (
  -- The lowest and the highest id in it. No other row has an id in between.
  first INTEGER PRIMARY KEY,
  last  INTEGER NOT NULL,
  -- How many leads it holds, and how many of them have a key.
  leads INTEGER NOT NULL,
  keyed INTEGER NOT NULL,
  -- A JSON array, a lead on each line, by id: [7,"ada@example.com",["Ada@example.com",null,true]] is its id, its key,
  -- and its body as in `lead`.
  lines TEXT NOT NULL
) STRICT;
