//! Pure decisions about duplicates: leads in, groups and decisions out; no I/O, no clock.
