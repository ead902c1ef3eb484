//! End-to-end tests: the real binary, over real HTTP, against the sandbox.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    dead_code,
    reason = "tests may panic, and are nobody's library"
)]

mod budget;
mod bulk;
mod client;
mod consent;
mod demo;
mod docs;
mod doctor;
mod documents;
mod explain;
mod guard;
mod interrupt;
mod merge;
mod plan;
mod plan_files;
mod probe;
mod refresh;
mod repair;
mod report;
mod review;
mod sandbox;
mod scan;
mod sql;
mod support;
mod tables;
mod untrusted;
mod upsert;
mod widths;
