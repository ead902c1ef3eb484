//! Fills the cache: by paging, or from a CSV file.
