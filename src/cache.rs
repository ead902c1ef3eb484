//! The disposable SQLite file, and all SQL on it.
