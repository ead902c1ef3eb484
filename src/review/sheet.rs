//! Decisions in a spreadsheet: what the workbook and the CSV have in common, and the CSV.
//!
//! A cell says what the plan says until a person changes it. On the way back each cell is compared
//! with what the export writes there for the same card, and only a cell that differs decides; so an
//! unchanged file decides nothing. Never: I/O beyond the writer that it is given, or a look at a
//! plan; cards come in, and decisions or every bad cell go out.
//!
//! Export: cards => [`Survey`] => writer, the cards once more. Import: file => `lines` => one
//! card after the other, see [`super::import`].

pub(super) mod bad;
pub(super) mod cell;
pub(super) mod choice;
mod csv;
mod guard;
pub(super) mod lines;
pub(super) mod of_csv;
pub(super) mod survey;
pub(super) mod typed;
pub(super) mod words;

pub use bad::BadCell;
pub use csv::CsvWriter;
pub use survey::Survey;

use chrono::{DateTime, Utc};

use super::model::Head;
use crate::lead::parse_time;

/// What a file says about the plan that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFacts {
    /// The plan's id.
    pub plan: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The instance.
    pub instance: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Its digest with the decisions so far.
    pub digest: String,
}

impl From<&Head> for PlanFacts {
    fn from(head: &Head) -> Self {
        Self {
            plan: head.plan.clone(),
            name: head.name.clone(),
            instance: head.instance.clone(),
            // The ledger writes times that can be read.
            made_at: parse_time(&head.made_at).unwrap_or_default(),
            digest: head.digest.clone(),
        }
    }
}

/// The plan and the digest that a file was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The plan's id.
    pub plan: String,
    /// The digest at the time of the export.
    pub digest: String,
}
