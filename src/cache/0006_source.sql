-- Which file the leads were read from; null where they were read from the instance itself.
ALTER TABLE meta ADD COLUMN file TEXT;
