//! Plans that people decide about: groups as cards, and the doors through which decisions come in.
//!
//! For: a marketing lead decides in a workbook or a page, signs off, and hands the plan back. All
//! doors read cards and write [`crate::dedupe::Decisions`] through a [`PlanReview`]. Never: merges,
//! or calls Marketo.

mod approval;
pub mod card;
mod cards;
mod carried;
mod deciding;
mod diff;
mod effect;
mod error;
pub mod import;
mod index;
mod links;
mod lists;
mod loaded;
mod meanwhile;
pub mod model;
pub mod page;
mod plan;
pub mod server;
pub mod sheet;
mod take_up;
mod taking_over;
mod view;
pub mod workbook;

pub use carried::{CardPast, CarriedState};
pub use diff::differences;
pub use error::Error;
pub use links::LinkTo;
pub use lists::{forget_words, kept_decisions, listed};
pub(crate) use loaded::Loaded;
pub use model::{Approval, Blocked, CardFilter, Decided, Door, Head, Page, Seen, Tab};
pub use plan::PlanReview;
#[cfg(test)]
pub(crate) use take_up::decided_plan;
pub(crate) use take_up::{Rules, Stand, Standing, each_standing, permit, refuse_changed, take_up};
pub(crate) use taking_over::take_over;
pub use view::{Difference, KeptDecision, ListedPlan, Shown};

#[cfg(test)]
mod tests;
