//! The precious SQLite file: plans, the journal of merges, the backups of merged leads; and all SQL on it.
