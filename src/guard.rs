//! The write path on which duplicates cannot arise.
