//! The plan: groups with their winners, losers in order, and field changes, fixed at one moment, to
//! be looked at and then carried out as they are (law 2).
//!
//! A planned group is a function of its leads and the policy alone. That is what the re-check
//! before a merge leans on: planned again from the live leads, the group must come out the same, or
//! it is left alone.

mod blocked;
mod changes;
mod chosen;
mod decide;
mod digest;
mod expected;
mod fill;
mod look;
mod mailable;
mod model;
mod named;
mod objection;
mod prediction;
mod rows;
mod ruling;
mod seen;
mod take_rows;
mod together;
mod unknown;
mod unwritten;
mod value;
mod weigh;

pub use chosen::may_be_chosen;
pub use decide::{plan_decided, plan_group};
pub use digest::digest_of;
pub use expected::Expected;
pub use fill::{Danger, DangerousFill, dangerous_fills};
pub use model::{Dropped, FieldChange, LeftOut, Plan, PlanHeader, PlannedGroup, Seen};
pub use named::plan_candidate;
pub use objection::{Known, Objection, Reason};
pub use prediction::{Deviation, Prediction};
pub use rows::{LeadRows, rows_in_words, rows_that_move, why_rows_stay};
pub use seen::{rest_as_seen, still_as_seen};
pub use unknown::UnknownField;

#[cfg(test)]
mod tests;
