//! What a writer must know of all cards before it writes the first one: the columns, and whether a
//! sheet has room.

use super::words::{held, kept};
use crate::review::card::{Card, CardField};

/// What a look through the cards found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// How many groups there are.
    pub groups: u64,
    /// How many leads they have.
    pub records: u64,
    /// How many rows the sheet of values has.
    pub values: u64,
    /// How many records the largest group has.
    pub largest: usize,
    /// The fields that conflict, or that somebody decided about, in the order in which they come.
    pub(super) fields: Vec<String>,
}

impl Survey {
    /// Looks at one card more.
    pub fn add(&mut self, card: &Card) {
        self.groups += 1;
        self.records += card.leads.len() as u64;
        self.largest = self.largest.max(card.leads.len());
        for field in &card.fields {
            self.values += u64::from(is_worth_a_row(card, field));
            if has_a_column(card, field) && !self.fields.contains(&field.name) {
                self.fields.push(field.name.clone());
            }
        }
    }
}

/// Whether the CSV needs a column for the field.
fn has_a_column(card: &Card, field: &CardField) -> bool {
    field.conflict || card.decisions.values.contains_key(&field.name)
}

/// Whether the workbook has a row for the field: where values conflict, where somebody decided, and
/// where the merge fills a blank that a person may want to stay blank.
pub(in crate::review) fn is_worth_a_row(card: &Card, field: &CardField) -> bool {
    let own = kept(card).map(|id| held(card, field, id));
    has_a_column(card, field) || field.may_choose && own.is_some_and(|own| *own != field.after)
}
