//! What runs did, told from the ledger alone: their history, the map of merged leads, the backups.
//!
//! For: whoever must answer for a merge, and programs that hold ids of leads that are gone. Never:
//! asks Marketo, or changes anything.

pub mod certificate;
mod history;
mod map;
mod others;

pub use history::{GroupHistory, KeptLead, Planned, Written, WrittenField, history_of};
pub use map::{ByWhom, MapRow, Restored, map_of};
pub use others::{
    Lost, LostKind, OthersMerge, OthersTotals, Read, not_ours, others_merges, totals_of,
};
