//! What the unit tests and the end-to-end tests of `mkto-audit` share: waits that end, what a test
//! needs beside Rust, and a Postgres of the tests' own.
//!
//! It knows nothing of `mkto-audit`. What only the end-to-end tests need is in `tests/support/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_debug_implementations,
    reason = "tests may panic, and are nobody's library"
)]

pub mod cluster;
pub mod needs;
pub mod wait;
