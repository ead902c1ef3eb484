//! The write path on which duplicates cannot arise, for whoever shares a store of leases.
//!
//! Marketo's `createOrUpdate` looks up and then inserts, so two of them that overlap both insert.
//! Here every record goes another way (`engine`): records of one key become one, the key is looked
//! up, a new one is written by `createOnly` and a known one by `updateOnly` with its id, and no
//! second call with a key leaves while the first may still be writing ([`crate::leases`]). A call
//! whose answer was lost is settled by looking, and by waiting out Marketo's time limit where that
//! tells nothing (law 4). So goes a file of records (`file`), and so go the writes of others
//! (`proxy`).
//!
//! Never: sends a record twice on a guess, writes to a key that has several leads, or stops
//! half-way through a call. What it cannot see: writers that do not go through it. Against those
//! `createOnly` narrows the window, no more.

mod engine;
mod file;
mod older_runs;
mod proxy;
mod race_counts;
mod read;

pub use engine::OnDuplicates;
pub use file::{Ended, FileSettings, LineResult, Status, UpsertReport, Watch, write_file};
pub use older_runs::until_older_runs_are_over;
pub use proxy::{CreateDuplicate, Mode, ProxySettings, ServeError, serve};
pub use race_counts::{Counts, RaceCounts, RaceCountsError};
pub use read::{Format, InputError, Record, Records, check_fields, read_dates, read_records};

/// Why a guarded write could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the instance looks like could not be read. Nothing was written.
    #[error(transparent)]
    Marketo(#[from] crate::marketo::Error),
    /// The leases of the keys cannot be had; without them nothing may be sent.
    #[error(transparent)]
    Leases(#[from] crate::leases::LeaseError),
    /// The field cannot be looked up by. Nothing was written.
    #[error("leads cannot be looked up by `{field}` on this instance; by: {known}")]
    LookupField {
        /// The field asked for.
        field: String,
        /// Those that can.
        known: String,
    },
}
