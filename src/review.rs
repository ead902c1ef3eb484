//! Plans that people decide about: groups as cards, and the doors through which decisions come in.
//!
//! For: a marketing lead decides in a workbook or a page, signs off, and hands the plan back. All
//! doors read cards and write [`crate::dedupe::Decisions`] through a [`PlanReview`]. Never: merges,
//! or calls Marketo.

mod approval;
pub mod card;
mod cards;
mod deciding;
mod effect;
mod error;
mod index;
mod loaded;
pub mod model;
pub mod page;
pub mod server;
mod plan;

pub use error::Error;
pub use model::{Approval, Blocked, CardFilter, Decided, Door, Head, Page, Tab};
pub use plan::PlanReview;

#[cfg(test)]
mod tests;
