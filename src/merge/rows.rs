//! Rows of custom objects go with their lead: they are linked to the record that stays before the
//! merge leaves, and linked back where it is not made.
//!
//! ```text
//! found ─▶ moved (in the journal first) ─▶ read back ─▶ merge ─▶ read again
//!                                              └─▶ no merge ─▶ linked back
//! ```
//!
//! What comes to a loser after the last look is looked for once its merge is settled (`late`).
//!
//! A call that links rows is in the ledger before it leaves, with each row's former link, and is
//! never sent again while it may be running (law 4). Leans on [`super::custom_objects`], which says
//! which rows can move. Never: moves a row whose key another lead of the group has, changes
//! anything but a link, or lets a merge leave before its rows were seen on the record that stays
//! (law 9).

mod after;
mod again;
mod before;
mod late;
mod link;
mod settle;
mod wish;

pub(super) use before::Moved;
pub(crate) use late::rows_hanging;
pub(super) use late::{Done, LOOKED_FOR};
pub use late::{LateRecord, LateRow, LateRows, LeftRows};
pub(super) use link::{GUID, LAG, Linked, Place, RowCalls, folded, lead_of};
pub(super) use wish::RowsBack;
