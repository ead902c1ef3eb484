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
mod guard_clients;
mod guard_fleet;
mod guard_hostile;
mod guard_leases;
mod guard_log;
mod guard_many;
mod guard_passing;
mod guard_postgres;
mod guard_proxied;
mod guard_restart;
mod guard_service;
mod guard_shadow;
mod guard_shares;
mod guard_slow;
mod guard_storm;
mod guard_unclear;
mod interrupt;
mod merge;
mod merge_adverse;
mod merge_consent;
mod merge_counts;
mod merge_doubt;
mod merge_left;
mod merge_moved;
mod merge_people;
mod merge_plans;
mod merge_storm;
mod refresh;
mod report;
mod report_html;
mod sandbox;
mod sandbox_adversity;
mod sandbox_data;
mod sandbox_import;
mod scan;
mod scan_estimate;
mod sql;
mod support;
mod tables;
mod untrusted;
mod upsert;
mod upsert_leases;
mod widths;
