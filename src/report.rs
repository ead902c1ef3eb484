//! What the cache holds, as a table, CSV or JSON.
