//! Finds, explains, merges and prevents duplicate people in Adobe Marketo Engage.
//!
//! Everything that the commands do, a program can do through this crate. The layers, from the top;
//! each leans on those below it, never on a sibling:
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`cli`] | one file a command: its flags, the call into the core, what is printed, the exit code |
//! | [`config`] | flags, environment, file and defaults, made into one configuration |
//! | [`scan`], [`report`], [`merge`], [`guard`] | fill the cache; show what is in it; carry a plan out; write without making duplicates |
//! | [`cache`], [`ledger`], [`marketo`], [`dedupe`] | the file that may be lost; the file that may not; the REST API; the decisions, pure |
//! | [`lead`] | the words that all of them share |
//!
//! Beside them stands the crate [`mkto_sandbox`], a Marketo to practise on. It depends on nothing in
//! this one: a misreading of the API in the client must not hide in what the client is tested
//! against.

mod boot_clock;
pub mod cache;
pub mod cli;
pub mod config;
pub mod dedupe;
pub mod guard;
pub mod lead;
pub mod ledger;
pub mod marketo;
pub mod merge;
mod plain;
pub mod report;
pub mod scan;
mod sqlite;
mod stop;
pub mod table;
