//! Plans that people decide about: groups as cards, and the doors through which decisions come in.
//!
//! For: a marketing lead decides in a workbook or a page, signs off, and hands the plan back. All
//! doors read cards and write [`crate::dedupe::Decisions`]. Never: merges, or calls Marketo.

pub mod card;
pub mod model;
pub mod page;
pub mod server;
