//! Fills the cache: by bulk extract or by paging through a whole instance, or from a file.
//!
//! For: every lead there is, once, whatever interrupts it. A page and the cursor that leads beyond
//! it are stored together, so that a scan that was cut short goes on where it stopped; a file goes
//! in whole or not at all. Never: decides about duplicates (keys are computed by [`crate::dedupe`]
//! and stored), writes to Marketo, prints, or guesses where the instance ends.

use chrono::{DateTime, Utc};

use crate::cache::{self, Row, ScanSpec, ScanTotals};
use crate::dedupe::KeySpec;
use crate::lead::{AUDIT_FIELDS, Lead, Window};
use crate::marketo::{self, Schema};

mod births;
mod bulk;
mod estimate;
mod file;
mod max_id;
mod pages;
mod refresh;
mod rows;

pub use births::{BirthsLearnt, learn_births};
pub use bulk::{BulkScan, SharedCache, scan_bulk};
pub use estimate::{
    CallRange, Cost, Estimate, ScanLimits, Unexplained, Way, estimate, history_calls,
    refresh_calls, seconds_of,
};
pub use file::{FileError, FileRules, FileScan, Unread, look, look_and_keep};
pub use max_id::{ActivityLog, activity_log};
pub use pages::{PageScan, scan_pages};
pub use refresh::{
    REFRESH_MARGIN, Refresh, Start, WhyFull, how_to_start, is_beyond_history, refresh,
};
pub use rows::ColumnUse;

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<T = ScanTotals> {
    /// The cache is the whole instance, with what changed since the scan before.
    Complete(T),
    /// A signal came; the same scan goes on another time.
    Interrupted,
}

/// What a watcher is told while a scan runs.
pub trait Watch: Send + Sync {
    /// So much is read, of so much where that is known: ids or windows of an instance, bytes of a
    /// file.
    fn at(&self, done: u64, total: Option<u64>);

    /// Marketo gave no checksum with the file of this window: it is taken by its size and the
    /// number of its rows.
    fn without_checksum(&self, window: Window) {
        tracing::warn!(%window, "the file of an export came without a checksum, and is taken by its size");
    }
}

impl Watch for () {
    fn at(&self, _: u64, _: Option<u64>) {}
}

/// Why a scan could not go on. What was stored by then is kept, and the same scan goes on from
/// there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call failed.
    #[error(transparent)]
    Marketo(#[from] marketo::Error),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The file is not as it must be; the cache is what it was before.
    #[error(transparent)]
    File(#[from] FileError),
    /// A field that is to be cached does not exist.
    #[error("this instance has no lead field `{field}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownField {
        /// As configured.
        field: String,
        /// The field that looks most like it.
        nearest: Option<String>,
    },
    /// A window cannot be read by bulk extract. Nothing of its file is in the cache; the windows
    /// before it are.
    #[error("the bulk extract of leads created from {window} {what}")]
    Export {
        /// The creation times.
        window: Window,
        /// Why, with line and column where it concerns a row.
        what: String,
    },
    /// Nothing says when the first lead can have been created.
    #[error(
        "this instance shows no folder, by whose age it is found out how old its first lead can be"
    )]
    NoBeginning,
    /// The instance has no activity type of this name, by which its newest lead is found.
    #[error("this instance has no activity type `New Lead`, by which the highest id is found out")]
    NoNewLeadType,
}

/// The fields to read: those that the audit needs, as far as the instance has them (one without
/// Salesforce has no `sfdcType`), and those that the configuration names, which must exist.
pub fn fields_to_read(configured: &[String], schema: &Schema) -> Result<Vec<String>, Error> {
    let has = |field: &str| schema.fields.contains_key(field) || field == "id";
    let mut fields: Vec<String> =
        AUDIT_FIELDS.iter().filter(|field| has(field)).map(|field| (*field).to_owned()).collect();
    for field in configured {
        if !has(field) {
            let nearest = schema
                .fields
                .keys()
                .map(|known| {
                    (
                        strsim::damerau_levenshtein(&known.to_lowercase(), &field.to_lowercase()),
                        known,
                    )
                })
                .min()
                .filter(|(distance, known)| *distance <= known.len() / 2)
                .map(|(_, known)| known.clone());
            return Err(Error::UnknownField { field: field.clone(), nearest });
        }
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    Ok(fields)
}

/// A lead as the cache keeps it.
fn row(lead: Lead, key: &KeySpec) -> Row {
    let key = key.key_of(&lead).map(|key| key.as_str().to_owned());
    Row { lead, key }
}

/// The key of a lead of which a bulk extract's file holds one field, in this cell.
#[cfg(test)]
pub(crate) fn key_of_cell(
    key: &KeySpec,
    data_type: &str,
    field: &str,
    cell: &str,
) -> Option<String> {
    let value = rows::cell::value(field, rows::Kind::of(data_type), cell.as_bytes()).ok()?;
    row(Lead::new(1).with(field, value), key).key
}

fn spec(strategy: &str, fields: &[String], key: &KeySpec) -> ScanSpec {
    ScanSpec {
        strategy: strategy.to_owned(),
        fields: fields.to_vec(),
        key_signature: key.signature(),
    }
}

/// What the time is read from.
pub type Now = fn() -> DateTime<Utc>;
